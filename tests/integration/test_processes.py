"""A daemon in several processes: their parent keeps them running, and none outlives it."""

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
PARENT = """
import os, pathlib, signal, sys, threading
from daemons.processes import Processes, call_for_help, listen_again

folder = pathlib.Path(sys.argv[1])

def work(number):
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    listen_again()
    (folder / f"{number}.{os.getpid()}").write_text("")
    if number == 1 and (folder / "call").exists():
        call_for_help()
    while not ended.wait(0.02):
        if number > 1 and (folder / "idle").exists():
            break
    (folder / f"ended.{os.getpid()}").write_text("")
    return 0

Processes(3, work, lambda: (folder / "beat").write_text("")).run()
"""


class Parent:
    """A daemon of three processes, each of which leaves a file with its number and id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(folder)], cwd=CHECKOUT, stderr=subprocess.DEVNULL
        )

    def started(self, number: int) -> list[int]:
        """Return the ids of all processes that had this number."""
        return [int(path.name.partition(".")[2]) for path in self.folder.glob(f"{number}.*")]

    def await_started(self, number: int, times: int = 1) -> int:
        eventually(lambda: len(self.started(number)) == times, f"worker {number} has started")
        return next(pid for pid in self.started(number) if is_alive(pid))

    def has_ended_in_order(self, pid: int) -> bool:
        return (self.folder / f"ended.{pid}").exists()


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Parent]:
    running = Parent(tmp_path)
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


def test_the_first_calls_for_the_others_and_they_end_when_idle(tmp_path: Path) -> None:
    (tmp_path / "call").touch()
    parent = Parent(tmp_path)
    try:
        others = [parent.await_started(number) for number in (2, 3)]
        (tmp_path / "idle").touch()
        eventually(lambda: not any(map(is_alive, others)), "they have ended")
        assert all(map(parent.has_ended_in_order, others))
        assert is_alive(parent.await_started(1))
        assert len(parent.started(2)) == 1, "nobody called again"
    finally:
        parent.process.kill()
        parent.process.wait(END_S)


def test_alone_until_it_calls(parent: Parent) -> None:
    parent.await_started(1)
    (parent.folder / "beat").unlink()
    eventually((parent.folder / "beat").exists, "the parent goes on")
    assert parent.started(2) == []


def test_one_that_dies_is_started_again(parent: Parent) -> None:
    first = parent.await_started(1)
    os.kill(first, signal.SIGKILL)
    assert parent.await_started(1, times=2) != first


def test_all_end_in_order_with_the_parent(parent: Parent) -> None:
    first = parent.await_started(1)
    parent.process.send_signal(signal.SIGTERM)
    assert parent.process.wait(END_S) == 0
    assert parent.has_ended_in_order(first)


def test_none_outlives_the_parent(parent: Parent) -> None:
    first = parent.await_started(1)
    parent.process.kill()
    eventually(lambda: not is_alive(first), "the kernel has ended it")
    assert not parent.has_ended_in_order(first)
