"""The threads of the prefetch daemon, real ones, with jobs that do what they are told."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from daemons.loop import Runner
from daemons.prefetch.downloads import LOOK_S, Downloads
from image_cloud.db.prefetch.outcomes import Outcome
from image_cloud.db.prefetch.queue import Claimed

DEADLINE_S = 60.0


class Slot:
    given_back = False

    def give_back(self) -> None:
        self.given_back = True


class Main:
    idle_s = 0.001

    def step(self) -> bool:
        return False


def claimed(key: str, domain: str = "shop.example") -> Claimed:
    return Claimed(key, f"http://{domain}/{key}", domain, (), 0, 1000.0)


class Jobs:
    """Each job waits until it may go on, and says what it was given."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = threading.Semaphore(0)
        self.error: BaseException | None = None

    def do(self, claimed: Claimed, slot: Any) -> Outcome:
        self.begun.release()
        assert self.go.wait(DEADLINE_S)
        slot.give_back()
        if self.error:
            raise self.error
        return Outcome(claimed.key, claimed.url)


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


class Process:
    def __init__(self, run: Path) -> None:
        (run / "beats").mkdir()
        self.runner = Runner("image-cloud-test", run, finish_s=LOOK_S / 2)
        self.status: list[int] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.status.append(self.runner.run(Main()))

    def wait(self) -> int:
        self._thread.join(DEADLINE_S)
        return self.status[0]

    def end(self) -> int:
        self.runner.end()
        return self.wait()


@pytest.fixture
def process(tmp_path: Path) -> Process:
    return Process(tmp_path)


def settle(downloads: Downloads, count: int) -> list[str]:
    """Return the keys of `count` that ended."""
    deadline, keys = time.monotonic() + DEADLINE_S, list[str]()
    while len(keys) < count and time.monotonic() < deadline:
        keys += [outcome.key for _, outcome in downloads.settled(0.1)]
    return sorted(keys)


def test_as_many_run_at_once_as_there_may_be_threads(jobs: Jobs, process: Process) -> None:
    names: list[str] = []

    def start(name: str, worker: Any) -> None:
        names.append(name)
        process.runner.start(name, worker)

    downloads = Downloads(jobs.do, 2, start)
    slots = [Slot() for _ in range(3)]
    for number, slot in enumerate(slots):
        downloads.begin(claimed(str(number)), slot)
    for _ in range(2):
        assert jobs.begun.acquire(timeout=DEADLINE_S)
    assert downloads.free() == -1
    assert downloads.under_way == {"shop.example": 3}
    assert downloads.settled(0.0) == []
    jobs.go.set()
    assert settle(downloads, 3) == ["0", "1", "2"]
    assert names == ["download-1", "download-2"]
    assert (downloads.free(), downloads.under_way) == (2, {})
    assert all(slot.given_back for slot in slots)
    downloads.withdraw()
    assert process.end() == 0


def test_what_no_thread_has_taken_up_is_given_back_at_the_end(jobs: Jobs, process: Process) -> None:
    downloads = Downloads(jobs.do, 1, process.runner.start)
    slots = {key: Slot() for key in ("first", "second")}
    for key, slot in slots.items():
        downloads.begin(claimed(key, key), slot)
    assert jobs.begun.acquire(timeout=DEADLINE_S)
    downloads.withdraw()
    assert slots["second"].given_back
    assert downloads.under_way == {"first": 1}
    jobs.go.set()
    assert settle(downloads, 1) == ["first"]
    assert process.end() == 0


def test_threads_that_wait_for_work_are_woken(
    jobs: Jobs, process: Process, caplog: pytest.LogCaptureFixture
) -> None:
    jobs.go.set()
    downloads = Downloads(jobs.do, 8, process.runner.start)
    for number in range(8):
        downloads.begin(claimed(str(number)), Slot())
    settle(downloads, 8)
    downloads.withdraw()
    assert process.end() == 0
    assert "event=step_cut" not in caplog.text


def test_a_thread_that_dies_ends_the_daemon(jobs: Jobs, process: Process) -> None:
    jobs.error, jobs.go = SystemExit(), threading.Event()
    downloads = Downloads(jobs.do, 1, process.runner.start)
    downloads.begin(claimed("a"), Slot())
    jobs.go.set()
    assert process.wait() == 1
