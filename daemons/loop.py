"""The one runner of all daemons: `step()` again and again until SIGTERM."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import Any, Protocol

from image_cloud.config import config_from_environment
from image_cloud.errors import DatabaseUnavailable
from image_cloud.node import Node
from image_cloud.process.heartbeat import Heartbeat, path_of
from image_cloud.process.logs import set_up_logging

log = logging.getLogger(__name__)

FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 30.0
LONGEST_OUTAGE_BACKOFF_S = 4.0  # asking a database that is away costs nothing


class Daemon(Protocol):
    """One job; `idle_s` is the pause after a step that found nothing to do."""

    idle_s: float

    def step(self) -> bool:
        """Do one piece of work; say whether there was any."""


def run(
    daemon: Daemon,
    stop: threading.Event,
    *,
    once: bool = False,
    beat: Callable[[], None] = lambda: None,
) -> None:
    """Call `daemon.step()` until `stop` is set; a step that raises is logged and backed off.

    `beat` is called before each step.  A daemon that has `finish()` ends with it: what it began must not
    take longer than stopwaitsecs.
    """
    backoff_s = FIRST_BACKOFF_S
    while not stop.is_set():
        beat()
        try:
            pause_s = 0.0 if daemon.step() else daemon.idle_s
            backoff_s = FIRST_BACKOFF_S
        except DatabaseUnavailable:
            log.warning("event=waiting_for_database seconds=%.0f", backoff_s)
            pause_s, backoff_s = backoff_s, min(backoff_s * 2, LONGEST_OUTAGE_BACKOFF_S)
        except Exception:
            log.exception("event=step_failed seconds=%.0f", backoff_s)
            pause_s, backoff_s = backoff_s, min(backoff_s * 2, LONGEST_BACKOFF_S)
        if once:
            break
        stop.wait(pause_s)
    finish = getattr(daemon, "finish", None)
    if finish:
        finish()


def main(name: str, create: Callable[[Node], Daemon]) -> None:
    """Read the configuration, make the daemon, and run it in the foreground until SIGTERM."""
    parser = argparse.ArgumentParser(prog=name)
    parser.add_argument("--once", action="store_true", help="do one step and end")
    arguments = parser.parse_args()
    config = config_from_environment()
    set_up_logging(config.node.log_level)
    os.umask(0o007)
    stop = threading.Event()

    def on_signal(_signum: int, _frame: Any) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    log.info("event=started daemon=%s", name)
    heartbeat = Heartbeat(path_of(config.node.run, name))
    if not arguments.once:
        heartbeat.start()
    run(create(Node(config)), stop, once=arguments.once, beat=heartbeat.mark)
    log.info("event=stopped daemon=%s", name)
