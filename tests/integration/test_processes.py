"""A daemon in several processes: the first one keeps the others running, and none outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.frontdoor.client import eventually
from tests.stack.running import CHECKOUT

END_S = 60.0
PROGRAM = """
import os, pathlib, signal, sys, threading
from daemons.processes import Helpers, own_number

folder = pathlib.Path(sys.argv[1])
number = own_number()
ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())
(folder / f"{number}.{os.getpid()}").write_text("")
helpers = Helpers(3 if number == 1 else 1, lambda number: (folder / f"forgotten{number}").touch())
while not ended.wait(0.02):
    if (folder / "call").exists():
        helpers.call()
    helpers.look()
    if number > 1 and (folder / "idle").exists():
        break
helpers.end()
helpers.join(30.0)
(folder / f"ended.{os.getpid()}").write_text("")
"""


class Program:
    """A daemon of up to three processes, each of which leaves a file with its number and id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = [sys.executable, "-c", PROGRAM, str(folder)]
        self.process = subprocess.Popen(command, cwd=CHECKOUT, stderr=subprocess.DEVNULL)

    def call(self) -> list[int]:
        """Have the first one call for the others once; return their ids when they run."""
        (self.folder / "call").touch()
        pids = [self.await_started(number) for number in (2, 3)]
        (self.folder / "call").unlink()
        return pids

    def started(self, number: int) -> list[int]:
        """Return the ids of all processes that had this number."""
        return [int(path.name.partition(".")[2]) for path in self.folder.glob(f"{number}.*")]

    def await_started(self, number: int, times: int = 1) -> int:
        eventually(lambda: len(self.started(number)) == times, f"process {number} has started")
        return next(pid for pid in self.started(number) if is_alive(pid))

    def has_ended_in_order(self, pid: int) -> bool:
        return (self.folder / f"ended.{pid}").exists()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    running = Program(tmp_path)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait(END_S)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_first_calls_for_the_others_and_they_end_when_idle(program: Program) -> None:
    others = program.call()
    (program.folder / "idle").touch()
    eventually(lambda: not any(map(is_alive, others)), "they have ended")
    assert all(map(program.has_ended_in_order, others))
    assert program.process.poll() is None
    assert len(program.started(2)) == 1, "nobody called again"


def test_alone_until_it_calls(program: Program) -> None:
    program.await_started(1)
    assert program.started(2) == []
    program.call()
    assert program.started(1) == [program.process.pid]


def test_one_that_dies_is_forgotten_and_started_again(program: Program) -> None:
    second, third = program.call()
    os.kill(second, signal.SIGKILL)
    assert program.await_started(2, times=2) != second
    assert (program.folder / "forgotten2").exists()
    assert is_alive(third)


def test_all_end_in_order_with_the_first(program: Program) -> None:
    others = program.call()
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(END_S) == 0
    assert all(map(program.has_ended_in_order, [program.process.pid, *others]))


def test_none_outlives_the_first(program: Program) -> None:
    others = program.call()
    program.process.kill()
    program.process.wait(END_S)
    eventually(lambda: not any(map(is_alive, others)), "the kernel has ended them")
    assert not any(map(program.has_ended_in_order, others))
