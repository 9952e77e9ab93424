"""Ends what an exited program leaves behind: workers of a killed nginx would keep its port for ever."""

from __future__ import annotations

import contextlib
import os
from typing import Any


def end_group(process: Any) -> None:
    """Send the stop signal to the rest of an exited program's process group, which supervisord made for it.

    supervisord still knows the id here: it starts the program again after this.
    """
    if process.pid:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, process.config.stopsignal)
