"""What counts as hung, with the clock handed in."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

from image_cloud.config import Config, load_config
from image_cloud.supervision.watchdog import DaemonWatch, PoolWatch, Probe, is_stopped, limits

LIMIT_S = 20.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Pool:
    """A pool that answers or not, and marks its heartbeat when told to."""

    def __init__(self, folder: Path) -> None:
        self.answers = True
        self.beat = folder / "front"
        self.clock = Clock()
        self.watch = PoolWatch("front", LIMIT_S, lambda: self.answers, self.beat, self.clock)

    def finish_a_request(self) -> None:
        self.beat.touch()
        os.utime(self.beat, (self.clock.now, self.clock.now))

    def after(self, seconds: float) -> bool:
        """Say whether it is taken for hung then."""
        self.clock.now += seconds
        return self.watch.look() is not None


def test_a_silent_pool_is_hung_when_its_time_is_over(tmp_path: Path) -> None:
    pool = Pool(tmp_path)
    assert not pool.after(LIMIT_S * 2)
    pool.answers = False
    assert [pool.after(LIMIT_S / 2) for _ in range(3)] == [False, False, True]
    # It is given its time again after it was started anew.
    assert not pool.after(LIMIT_S / 2)


def test_a_busy_pool_is_left_alone(tmp_path: Path) -> None:
    """Its queue is so long that no question comes through, but it finishes requests."""
    pool = Pool(tmp_path)
    pool.answers = False
    for _ in range(20):
        pool.finish_a_request()
        assert not pool.after(LIMIT_S * 0.9)
    assert pool.after(LIMIT_S)


def test_a_machine_that_slept_kills_nothing(tmp_path: Path) -> None:
    pool = Pool(tmp_path)
    pool.answers = False
    assert not pool.after(LIMIT_S * 100)
    assert not pool.after(0.1)
    pool.answers = True
    assert not pool.after(0.1)


def test_a_pool_may_be_silent_for_as_long_as_its_longest_request() -> None:
    config = load_config(None, overrides="watchdog.unanswered=2 s;resize.decode_timeout=60 s")
    assert limits(config)["front"] == 2.0
    assert limits(config)["resize"] > config.resize.decode_timeout
    usual = Config()
    assert limits(usual)["fetch"] > usual.download.total_timeout + usual.politeness.slot_wait


def test_a_daemon_whose_step_never_ends(tmp_path: Path) -> None:
    clock, beat = Clock(), tmp_path / "janitor"
    watch = DaemonWatch("image-cloud-janitor", LIMIT_S, beat, clock)
    assert watch.look() is None  # it has not made its file yet
    beat.write_text(f"{os.getpid()}\n")
    os.utime(beat, (clock.now, clock.now))
    assert watch.look() is None
    clock.now += LIMIT_S + 1
    assert [watch.look() is not None for _ in range(3)] == [False, False, True]


def test_a_stopped_process_is_seen(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "1000"]) as process:
        beat = tmp_path / "janitor"
        beat.write_text(f"{process.pid}\n")
        assert not is_stopped(beat)
        process.send_signal(19)
        deadline = time.monotonic() + 10
        while not is_stopped(beat):
            assert time.monotonic() < deadline
        process.kill()
    assert not is_stopped(tmp_path / "none")


def test_a_question_stays_open_until_it_is_answered(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    probe = Probe(path)
    assert not probe.answered()  # nobody listens
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(5)
        assert not probe.answered()
        asked, _ = listening.accept()
        assert not probe.answered()
        with asked:
            asked.recv(1000)
            asked.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        assert probe.answered()
