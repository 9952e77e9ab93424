"""What counts as hung, with the clock handed in."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from image_cloud.config import Config, load_config
from image_cloud.metrics.process_files import ProcessFiles
from image_cloud.process.heartbeat import Heartbeat, path_of
from image_cloud.supervision.watchdog import (
    DaemonWatch,
    PoolWatch,
    Probe,
    is_stopped,
    limits,
    longest_step_s,
)
from tests.clock import Clock

LIMIT_S = 20.0


class Pool:
    """A pool that answers or not, and marks its heartbeat when told to."""

    def __init__(self, folder: Path) -> None:
        self.answers = True
        self.beat = folder / "front"
        self.clock = Clock(1000.0)
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
    assert limits(config)["decoder"] == 2.0, "it never decodes itself"
    assert limits(config)["fetch"] > config.resize.decode_timeout
    usual = Config()
    assert limits(usual)["fetch"] > usual.download.total_timeout + usual.politeness.slot_wait


class Daemon:
    """A daemon's heartbeats, marked when it is told to."""

    NAME = "image-cloud-janitor"

    def __init__(self, run: Path) -> None:
        (run / "beats").mkdir()
        self._run = run
        self.clock = Clock(1000.0)
        self.watch = DaemonWatch(self.NAME, LIMIT_S, run, self.clock)

    def mark(self, thread: str = "") -> None:
        beat = path_of(self._run, self.NAME, thread)
        beat.write_text(f"{os.getpid()}\n")
        os.utime(beat, (self.clock.now, self.clock.now))

    def after(self, seconds: float) -> str:
        """Return why it is taken for hung then, nothing where it is not."""
        self.clock.now += seconds
        hung = self.watch.look()
        return hung.reason if hung else ""


def test_a_daemon_whose_step_never_ends(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    assert not daemon.after(LIMIT_S)  # it has not made its file yet
    daemon.mark()
    assert not daemon.after(0)
    assert [daemon.after(LIMIT_S), daemon.after(1), daemon.after(1)] == ["", "", ""]
    assert daemon.after(1) == f"one step has taken {LIMIT_S + 3:.0f} s (thread main)"


def test_a_further_thread_that_hangs_is_seen_by_its_name(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    for thread in ("", "audit", "follower-ic01", "recorder"):
        daemon.mark(thread)
    for _ in range(2):
        daemon.clock.now += LIMIT_S + 1
        daemon.mark()
        daemon.mark("recorder")
        assert daemon.after(0) == ""
    daemon.mark()
    daemon.mark("recorder")
    assert "(thread audit, follower-ic01)" in daemon.after(1)


def test_another_daemon_s_threads_do_not_count(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.mark()
    beat = path_of(tmp_path, "image-cloud-janitor2", "audit")
    beat.write_text("1\n")
    os.utime(beat, (1, 1))
    assert [daemon.after(1) for _ in range(4)] == [""] * 4


def test_threads_that_are_late_in_turns_are_not_hung(tmp_path: Path) -> None:
    """After a pause of the whole machine each is late once, until it marks again."""
    daemon = Daemon(tmp_path)
    for thread in ("", "a", "b", "c"):
        daemon.mark(thread)
    assert daemon.after(LIMIT_S * 10) == ""
    daemon.mark()
    daemon.mark("a")
    assert daemon.after(1) == ""
    daemon.mark("b")
    daemon.mark("c")
    assert [daemon.after(1) for _ in range(5)] == [""] * 5


def test_a_thread_that_ended_is_not_watched(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.mark()
    daemon.mark("audit")
    daemon.clock.now += LIMIT_S * 2
    daemon.mark()
    assert [daemon.after(0), daemon.after(0)] == ["", ""]
    Heartbeat(path_of(tmp_path, daemon.NAME, "audit")).end()
    assert daemon.after(0) == ""


def test_a_step_may_take_as_long_as_what_it_waits_for() -> None:
    overrides = "watchdog.longest_step=1 s;download.total_timeout=40 s;cluster.poll=60 s"
    config = load_config(None, overrides=overrides)
    assert longest_step_s(config) > config.cluster.poll + config.cluster.read_timeout
    assert longest_step_s(config) > config.download.total_timeout + config.politeness.slot_wait
    assert longest_step_s(Config()) == Config().watchdog.longest_step


def test_a_stopped_process_is_seen() -> None:
    with subprocess.Popen(["sleep", "1000"]) as process:
        assert not is_stopped(process.pid)
        process.send_signal(19)
        deadline = time.monotonic() + 10
        while not is_stopped(process.pid):
            assert time.monotonic() < deadline
        process.kill()
    assert not is_stopped(None)


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


def event(from_state: str, program: str = "image-cloud-front") -> str:
    body = f"processname:{program} groupname:{program} from_state:{from_state} tries:1"
    return f"ver:3.0 pool:x eventname:PROCESS_STATE_STARTING len:{len(body)}\n{body}"


def test_restarts_that_nobody_asked_for_are_counted(tmp_path: Path) -> None:
    for name in ("metrics", "sockets"):
        (tmp_path / "run" / name).mkdir(parents=True)
    ini = tmp_path / "image_cloud.ini"
    ini.write_text(f"[node]\nrun = {tmp_path}/run\n")
    told = (
        event("EXITED") + event("BACKOFF") + event("STOPPED") + event("EXITED", "image-cloud-fetch")
    )
    done = subprocess.run(
        [sys.executable, "-m", "image_cloud.supervision.watchdog"],
        input=told, capture_output=True, text=True, env=os.environ | {"IMAGE_CLOUD_CONFIG": str(ini)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("RESULT 2\nOK") == 4
    counted = ProcessFiles(tmp_path / "run/metrics").values()
    restarts = {
        dict(labels)["program"]: count
        for (name, labels), count in counted.items()
        if name == "image_cloud_program_restarts_total"
    }
    assert restarts == {"front": 2.0, "fetch": 1.0}
