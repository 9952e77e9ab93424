"""Work in steps: one `step()` after another, until a stop is asked for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from image_cloud.errors import DatabaseUnavailable, StorageUnavailable

log = logging.getLogger(__name__)

GoOn = Callable[[], bool]
"""What a long step calls between two pieces: it marks that the step gets on, and says whether it shall."""

FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 30.0
LONGEST_OUTAGE_BACKOFF_S = 4.0  # asking a database that is away costs nothing


class Worker(Protocol):
    """One job; `idle_s` is the pause after a step that found nothing to do.

    It may have `wake()`, which ends the wait of a step from another thread, and `finish()`, the last thing
    that is done after the last step.
    """

    idle_s: float

    def step(self) -> bool:
        """Do one piece of work; return whether there was any."""


def repeat(
    worker: Worker,
    stop: threading.Event,
    *,
    once: bool = False,
    mark: Callable[[], None] = lambda: None,
) -> None:
    """Call `worker.step()` until `stop` is set, or `once`; a step that raises is logged and backed off.

    `mark` is called before each step.
    """
    backoff_s = FIRST_BACKOFF_S
    while once or not stop.is_set():
        mark()
        try:
            pause_s = 0.0 if worker.step() else worker.idle_s
            backoff_s = FIRST_BACKOFF_S
        except StorageUnavailable as error:
            log.warning("event=waiting_for_storage reason=%r seconds=%.0f", error.detail, backoff_s)
            pause_s, backoff_s = backoff_s, min(backoff_s * 2, LONGEST_OUTAGE_BACKOFF_S)
        except DatabaseUnavailable:
            log.warning("event=waiting_for_database seconds=%.0f", backoff_s)
            pause_s, backoff_s = backoff_s, min(backoff_s * 2, LONGEST_OUTAGE_BACKOFF_S)
        except Exception:
            log.exception("event=step_failed seconds=%.0f", backoff_s)
            pause_s, backoff_s = backoff_s, min(backoff_s * 2, LONGEST_BACKOFF_S)
        if once:
            break
        stop.wait(pause_s)
    finish = getattr(worker, "finish", None)
    if finish:
        finish()


def wake(worker: Worker) -> None:
    """End the wait of a step that `worker` is in."""
    awaken = getattr(worker, "wake", None)
    if awaken:
        awaken()
