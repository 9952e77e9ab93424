"""supervisord's end of the watchdog: kill hung programs so that supervisord restarts them.

It runs within supervisord, which has no part of Image Cloud but this folder: no imports of ours here.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from supervisor.states import ProcessStates

OURS = "image-cloud-"


def handle(event: Any, response: bytes | str) -> None:
    """Take the listener's result: `OK`, or words like `image-cloud-front=20`, which hung for 20 s."""
    text = response.decode("ascii") if isinstance(response, bytes) else response
    for word in text.split():
        name, equals, limit_s = word.partition("=")
        if equals and name.startswith(OURS):
            _end(event.supervisord, name, float(limit_s))


def _end(supervisord: Any, name: str, limit_s: float) -> None:
    group = supervisord.process_groups.get(name)
    process = group and group.processes.get(name)
    if (
        process
        and process.state == ProcessStates.RUNNING
        and time.time() - process.laststart > limit_s
    ):
        supervisord.options.logger.warn(f"killed: {name} hung for {limit_s:.0f} s")
        # Stopped processes take no other signal, and the whole group: workers would outlive their parent.
        os.killpg(process.pid, signal.SIGKILL)
