"""Run with `python -m daemons.prefetch`: the parent of the processes that download."""

from __future__ import annotations

import functools
import sys

from daemons import loop
from daemons.prefetch.wiring import create
from daemons.processes import Processes
from image_cloud.process.cores import cores
from image_cloud.process.heartbeat import Heartbeat, path_of

PROGRAM = "image-cloud-prefetch"


def main() -> None:
    """Fork as many workers as the configuration says, until SIGTERM; with `--once` do one step."""
    config, once = loop.start(PROGRAM)
    count = config.prefetch.processes or cores()
    if once or count == 1:
        sys.exit(loop.serve(PROGRAM, functools.partial(create, 1, 1), config, once=once))

    def work(number: int) -> int:
        wire = functools.partial(create, number, count)
        return loop.serve(PROGRAM, wire, config, str(number))

    beat = Heartbeat(path_of(config.node.run, PROGRAM))
    beat.start()
    Processes(count, work, beat.mark).run()


main()
