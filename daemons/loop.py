"""The one runner of all daemons: each of their jobs in a thread of its own, until SIGTERM.

The main thread only waits: for SIGTERM, or for a thread that dies.  Then every thread finishes its step, and
the process ends.  Each thread marks a heartbeat of its own before each step and within long ones, for the
watchdog (image_cloud/supervision/watchdog.py).  Threads that serve these, for log lines, deadlines and host
names, have no steps: where one fails, a step hangs or raises.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from daemons.processes import Helpers
from image_cloud.config import Config, config_from_environment
from image_cloud.metrics import client
from image_cloud.metrics.events import count_events
from image_cloud.process import heartbeat
from image_cloud.process.heartbeat import Heartbeat
from image_cloud.process.logs import set_up_logging
from image_cloud.process.steps import Worker, repeat, wake

if TYPE_CHECKING:
    from image_cloud.node import Node

log = logging.getLogger(__name__)

# Together they stay below the programs' stopwaitsecs, 35 s.
FINISH_S, FINISH_LAST_S, FINISH_HELPERS_S = 27.0, 4.0, 3.0
LOOK_S = 1.0

Workers = dict[threading.Thread, Worker]
Create = Callable[["Node", "Runner"], Worker]
CreateAlone = Callable[[Config, "Runner"], Worker]
"""Wires a daemon that needs no part of the node: those take 10 MB of memory."""


class Runner:
    """Runs the workers of one process; their heartbeats stand below the folder `run`.

    `process` tells the further processes of one program apart, and names the heartbeat of their main threads;
    `helpers` are these processes, in the first one.
    With `once` each worker does one step, and no heartbeat is touched.
    """

    def __init__(
        self,
        program: str,
        run: str | Path,
        process: str = "",
        *,
        once: bool = False,
        finish_s: float = FINISH_S,
        helpers: Helpers | None = None,
    ) -> None:
        self._program = program
        self._run = run
        self._process = process
        self._once = once
        self._finish_s = finish_s
        self._helpers = helpers or Helpers(1, lambda _: None)
        self._stop = threading.Event()
        self._stop_last = threading.Event()
        self._mutex = threading.Lock()
        self._workers: Workers = {}
        self._last: Workers = {}
        self._endings: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._of_thread = threading.local()
        self._died = False

    def start(self, name: str, worker: Worker) -> None:
        """Run `worker` in a thread called `name`."""
        self._start(name, worker, self._workers, self._stop, once=self._once)

    def start_last(self, name: str, worker: Worker) -> None:
        """Do the same for what works for the others: it is stopped when they have ended."""
        self._start(name, worker, self._last, self._stop_last, once=False)

    def _start(
        self, name: str, worker: Worker, workers: Workers, stop: threading.Event, *, once: bool
    ) -> None:
        thread = threading.Thread(
            target=self._work, args=(name, worker, stop, once), name=name or "main", daemon=True
        )
        with self._mutex:
            workers[thread] = worker
            thread.start()

    def go_on(self) -> bool:
        """Mark that this thread's step gets on; say whether it shall: after SIGTERM no more."""
        mark: Callable[[], None] | None = getattr(self._of_thread, "mark", None)
        if mark:
            mark()
        return not self._stop.is_set()

    def end(self) -> None:
        """Have `run` end; may be called in a signal handler."""
        self._endings.put(True)

    def call_for_help(self) -> None:
        """Have the program's further processes run."""
        self._helpers.call()
        self._endings.put(False)

    def run(self, main: Worker) -> int:
        """Run `main` and all that it starts until `end`; return the process's exit status.

        It is 1 where a thread died; that ends the others, too.
        """
        self.start("", main)
        self._await_end()
        self._stop.set()
        self._helpers.end()
        self._finish(self._workers, self._finish_s)
        self._stop_last.set()
        self._finish(self._last, FINISH_LAST_S)
        self._helpers.join(FINISH_HELPERS_S)
        return int(self._died)

    def _await_end(self) -> None:
        """Wait until `end` is called, and look after the helpers.

        Python calls signal handlers between two instructions only: a signal that comes just before the wait
        does not end it, so each wait is short.
        """
        while True:
            with contextlib.suppress(queue.Empty):
                if self._endings.get(timeout=LOOK_S):
                    return
            self._helpers.look()

    def _finish(self, workers: Workers, patience_s: float) -> None:
        """Wait for the last steps; what takes longer is cut when the process ends."""
        deadline = time.monotonic() + patience_s
        while started := self._take(workers):  # a last step may have started more
            for worker in started.values():
                wake(worker)
            for thread in started:
                thread.join(max(0.0, deadline - time.monotonic()))
                if thread.is_alive():
                    log.warning("event=step_cut thread=%s", thread.name)

    def _take(self, workers: Workers) -> Workers:
        with self._mutex:
            started = dict(workers)
            workers.clear()
        return started

    def _work(self, name: str, worker: Worker, stop: threading.Event, once: bool) -> None:
        thread = ".".join(filter(None, (self._process, name)))
        beat = Heartbeat(heartbeat.path_of(self._run, self._program, thread))
        self._of_thread.mark = mark = _nothing if self._once else beat.mark
        if not self._once:
            beat.start()
        try:
            repeat(worker, stop, once=once, mark=mark)
        except BaseException:
            log.critical("event=thread_died thread=%s", name or "main", exc_info=True)
            self._died = True
        if thread and not self._once:
            beat.end()
        if self._died or not name:
            self.end()


def _nothing() -> None:
    return


def main(program: str, create: Create) -> None:
    """Read the configuration, wire the daemon, and run it in the foreground until SIGTERM."""
    config, once = start(program)
    sys.exit(serve(program, create, config, once=once))


def main_alone(program: str, create: CreateAlone) -> None:
    """Do the same for a daemon that is wired from the configuration alone."""
    config, once = start(program)
    runner = Runner(program, config.node.run, once=once)
    sys.exit(_serve(program, lambda: create(config, runner), runner))


def start(program: str, *, is_first: bool = True) -> tuple[Config, bool]:
    """Read configuration and command line; return the former, and whether one step was asked for.

    `is_first` is False in the further processes of a program.
    """
    once = bool(sys.argv[1:]) and _asked_for_one_step(program)
    config = config_from_environment()
    set_up_logging(config.node.log_level, config.node.log_format)
    client.count_below(config.node.run)
    count_events()
    os.umask(0o007)
    if is_first and not once:
        heartbeat.forget_threads(config.node.run, program)
    return config, once


def serve(
    program: str,
    create: Create,
    config: Config,
    process: str = "",
    *,
    once: bool = False,
    helpers: Helpers | None = None,
) -> int:
    """Wire the daemon and run it in this process until SIGTERM; return the exit status."""
    from image_cloud.node import Node  # not in a daemon that works alone

    runner = Runner(program, config.node.run, process, once=once, helpers=helpers)
    return _serve(program, lambda: create(Node(config), runner), runner)


def _serve(program: str, create: Callable[[], Worker], runner: Runner) -> int:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: runner.end())
    log.info("event=started daemon=%s", program)
    status = runner.run(create())
    log.info("event=stopped daemon=%s", program)
    return status


def _asked_for_one_step(program: str) -> bool:
    import argparse  # not in a daemon that works on and on

    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("--once", action="store_true", help="do one step and end")
    return bool(parser.parse_args().once)
