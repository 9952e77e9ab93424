"""The runner of daemons, with real threads: every step is finished, and no thread dies or hangs unseen."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from daemons.loop import Runner
from image_cloud.process.heartbeat import forget_threads, holder, path_of, threads_of
from image_cloud.process.steps import Worker

PROGRAM = "image-cloud-test"
DEADLINE_S = 60.0


class Job:
    """A worker whose steps do what they are told; `began` is set within the first."""

    idle_s = 0.001

    def __init__(self, during: Callable[[], object] = lambda: None) -> None:
        self._during = during
        self.began = threading.Event()
        self.steps = 0
        self.finished = False

    def step(self) -> bool:
        self.began.set()
        self._during()
        self.steps += 1
        return False

    def finish(self) -> None:
        self.finished = True


class Waiting(Job):
    """One that waits in its step until it is woken."""

    def __init__(self) -> None:
        self._woken = threading.Event()
        super().__init__(self._woken.wait)

    def wake(self) -> None:
        self._woken.set()


class Process:
    """A runner at work in a thread, as the main thread of a daemon is."""

    def __init__(self, runner: Runner, main: Worker) -> None:
        self.runner = runner
        self.statuses: queue.SimpleQueue[int] = queue.SimpleQueue()
        run = lambda: self.statuses.put(runner.run(main))  # noqa: E731
        threading.Thread(target=run, daemon=True).start()

    def status(self) -> int:
        return self.statuses.get(timeout=DEADLINE_S)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "beats").mkdir()
    return tmp_path


@pytest.fixture
def runner(run: Path) -> Runner:
    return Runner(PROGRAM, run)


def eventually(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_each_thread_finishes_its_step_and_then_all_end(runner: Runner) -> None:
    go = threading.Event()
    main, other = Job(go.wait), Job(go.wait)
    process = Process(runner, main)
    runner.start("other", other)
    assert main.began.wait(DEADLINE_S)
    assert other.began.wait(DEADLINE_S)
    runner.end()
    with pytest.raises(queue.Empty):
        process.statuses.get(timeout=0.1)  # a step is under way
    go.set()
    assert process.status() == 0
    assert [(job.steps, job.finished) for job in (main, other)] == [(1, True), (1, True)]


def test_what_waits_is_woken(runner: Runner) -> None:
    main, other = Waiting(), Waiting()
    process = Process(runner, main)
    runner.start("other", other)
    assert main.began.wait(DEADLINE_S)
    assert other.began.wait(DEADLINE_S)
    runner.end()
    assert process.status() == 0
    assert main.finished
    assert other.finished


def test_what_works_for_the_others_ends_after_them(runner: Runner) -> None:
    go, served = threading.Event(), list[str]()
    last = Job()
    last.finish = lambda: served.append("last")  # type: ignore[method-assign]
    other = Job(go.wait)
    other.finish = lambda: served.append("other")  # type: ignore[method-assign]
    process = Process(runner, Job())
    runner.start_last("last", last)
    runner.start("other", other)
    assert other.began.wait(DEADLINE_S)
    runner.end()
    before = last.steps
    eventually(lambda: last.steps > before)
    go.set()
    assert process.status() == 0
    assert served == ["other", "last"]


def test_what_a_last_step_starts_ends_too(runner: Runner, run: Path) -> None:
    go, late = threading.Event(), Waiting()

    def start_late() -> None:
        go.wait(DEADLINE_S)
        runner.start("late", late)

    main = Job(start_late)
    process = Process(runner, main)
    assert main.began.wait(DEADLINE_S)
    runner.end()
    eventually(lambda: not runner.go_on())
    go.set()
    assert process.status() == 0
    assert late.finished
    assert threads_of(run, PROGRAM) == {}


def test_a_step_that_hangs_is_cut_and_told(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    never = threading.Event()
    runner = Runner(PROGRAM, run, finish_s=0.05)
    other, recorder = Job(never.wait), Job()
    process = Process(runner, Job())
    runner.start("follower-ic01", other)
    runner.start_last("recorder", recorder)
    assert other.began.wait(DEADLINE_S)
    runner.end()
    assert process.status() == 0
    assert "event=step_cut thread=follower-ic01" in caplog.text
    assert recorder.finished
    never.set()


class Deadly(BaseException):
    """What no step may catch."""


def test_a_thread_that_dies_ends_the_process_with_an_error(
    runner: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    def die() -> None:
        raise Deadly

    main = Job()
    process = Process(runner, main)
    runner.start("audit", Job(die))
    assert process.status() == 1
    assert main.finished
    assert "event=thread_died thread=audit" in caplog.text


def test_a_last_word_that_fails_is_an_error_too(runner: Runner) -> None:
    def fail() -> None:
        raise RuntimeError("not finished")

    other = Job()
    other.finish = fail  # type: ignore[method-assign]
    process = Process(runner, Job())
    runner.start("other", other)
    runner.end()
    assert process.status() == 1


def test_every_thread_has_a_heartbeat_while_it_runs(runner: Runner, run: Path) -> None:
    process = Process(runner, Job())
    runner.start("audit", Job())
    runner.start_last("recorder", Job())
    eventually(lambda: set(threads_of(run, PROGRAM)) == {"audit", "recorder"})
    eventually(lambda: holder(path_of(run, PROGRAM)) == os.getpid())
    runner.end()
    assert process.status() == 0
    assert threads_of(run, PROGRAM) == {}
    assert path_of(run, PROGRAM).exists()  # rollouts look at it


def test_a_long_step_marks_the_heartbeat_of_its_own_thread(runner: Runner, run: Path) -> None:
    turns: queue.SimpleQueue[None] = queue.SimpleQueue()
    answers: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def long_step() -> None:
        while True:
            turns.get(timeout=DEADLINE_S)
            goes_on = runner.go_on()
            answers.put(goes_on)
            if not goes_on:
                return

    process = Process(runner, Job())
    runner.start("rebuild", Job(long_step))
    turns.put(None)
    assert answers.get(timeout=DEADLINE_S)
    beat = path_of(run, PROGRAM, "rebuild")

    def marks_again() -> bool:
        os.utime(beat, (1000, 1000))
        turns.put(None)
        assert answers.get(timeout=DEADLINE_S)
        return beat.stat().st_mtime > 1000

    eventually(marks_again)
    runner.end()
    eventually(lambda: not runner.go_on())
    turns.put(None)
    assert not answers.get(timeout=DEADLINE_S)
    assert process.status() == 0


def test_once_is_one_step_of_each_and_touches_no_heartbeat(run: Path) -> None:
    runner = Runner(PROGRAM, run, once=True)
    other, recorder = Job(), Job()

    def start_other() -> None:
        runner.start_last("recorder", recorder)
        runner.start("other", other)

    main = Job(start_other)
    assert Process(runner, main).status() == 0
    assert (main.steps, other.steps) == (1, 1)
    assert main.finished
    assert other.finished
    assert recorder.finished
    assert list((run / "beats").iterdir()) == []


def test_a_signal_ends_it_whatever_the_main_thread_does(runner: Runner) -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: runner.end())
    try:
        main = Job()
        killer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
        killer.start()
        assert runner.run(main) == 0  # in the main thread, as in a daemon
        assert main.finished
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_signal_that_interrupts_no_wait_ends_it_too(runner: Runner) -> None:
    """As where it comes just before the wait: here another thread takes it."""
    before = signal.signal(signal.SIGUSR1, lambda *_: runner.end())
    rescue = threading.Timer(DEADLINE_S, runner.end)
    rescue.start()
    try:
        take = lambda: signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)  # noqa: E731
        threading.Timer(0.05, take).start()
        assert runner.run(Job()) == 0
        assert rescue.is_alive()
    finally:
        rescue.cancel()
        signal.signal(signal.SIGUSR1, before)


def test_what_an_earlier_process_left_is_forgotten(run: Path) -> None:
    path_of(run, PROGRAM, "follower-gone").write_text("1\n")
    path_of(run, PROGRAM).write_text("1\n")
    path_of(run, "image-cloud-test2", "x").write_text("1\n")
    forget_threads(run, PROGRAM)
    assert sorted(path.name for path in (run / "beats").iterdir()) == [
        PROGRAM,
        "image-cloud-test2.x",
    ]
