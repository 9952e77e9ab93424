"""Run with `python -m daemons.prefetch`: the first of the processes that download, or one that it started."""

from __future__ import annotations

import functools
import sys

from daemons import loop
from daemons.prefetch.wiring import create
from daemons.processes import Helpers, own_number
from image_cloud.process import heartbeat
from image_cloud.process.cores import cores

PROGRAM = "image-cloud-prefetch"
PER_CORE, ENOUGH = 2, 8
"""The threads of one wait in step, for shops and then for the interpreter: the other works meanwhile.

Each has connections to the database: more than ENOUGH are only started for as many cores.
"""


def usual_count(cores: int) -> int:
    """Return in how many processes to download on so many cores."""
    return max(cores, min(PER_CORE * cores, ENOUGH))


def main() -> None:
    """Download until SIGTERM, in as many processes as the configuration says; with `--once` do one step."""
    number = own_number()
    config, once = loop.start(PROGRAM, is_first=number == 1)
    count = 1 if once else config.prefetch.processes or usual_count(cores())
    wire = functools.partial(create, number, count)
    if number > 1:
        sys.exit(loop.serve(PROGRAM, wire, config, str(number)))
    helpers = Helpers(count, functools.partial(heartbeat.forget_process, config.node.run, PROGRAM))
    sys.exit(loop.serve(PROGRAM, wire, config, once=once, helpers=helpers))


main()
