"""The sampler with a real log and a real SQLite file."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemons.sampler.counting import MOST_TIMES, Pending, adding
from daemons.sampler.events import Events
from daemons.sampler.gauges import Gauges
from daemons.sampler.memory import memory_of
from daemons.sampler.sampler import Sampler
from daemons.sampler.waiting import waiting_in
from image_cloud.db.history import HistoryFile, HistoryReader, Key
from image_cloud.history import traffic
from image_cloud.history.access_log import AccessLog
from image_cloud.history.lines import Line
from image_cloud.history.sample import KEPT, Sample
from image_cloud.history.trend import days_left
from image_cloud.history.uses import Uses
from image_cloud.metrics.process_files import ProcessFiles
from image_cloud.metrics.requests import Answered
from image_cloud.process.unix_get import get_json

NOW = 1_795_372_165  # 2026-11-22 18:29:25
DAY = 86400.0
VARIANT = f"variants/ab/ab/{'ab' * 32}/200x200-fit-q85.jpg"


def written(time: float, number: int, *, cache: str = "HIT", status: int = 200) -> str:
    """Return a line of nginx; hits are those of nginx alone."""
    when = datetime.datetime.fromtimestamp(time, datetime.UTC).isoformat(timespec="seconds")
    by_pool = (
        "" if cache == "HIT" else '"code":"","upstream_status":[200],"upstream_seconds":[0.1],'
    )
    return (
        f'{{"time":"{when}","request_id":"{number:020}","method":"GET","route":"/get_thumbnail","file":"/{VARIANT}",'
        f'"status":{status},"bytes":1000,"seconds":0.020,"cache":"{cache}",{by_pool}"client":"::1"}}\n'
    )


class Parts:
    """A sampler with a clock of its own; `restart` is a new process after `kill -9`."""

    def __init__(self, folder: Path) -> None:
        self.now = float(NOW)
        self.log, self.path, self.uses = folder / "access.log", folder / "h.sqlite", folder / "uses"
        self.log.touch()
        self.gauges: dict[str, float] = {"disk_free_bytes": 7.0}
        self.seen: list[Answered] = []
        self.metrics = folder / "metrics"
        self.metrics.mkdir()
        self.restart()

    def restart(self) -> None:
        self.sampler = Sampler(
            AccessLog(self.log, clock=lambda: self.now), HistoryFile(self.path, KEPT), lambda: self.gauges,
            Events(ProcessFiles(self.metrics)), Uses(self.uses),
            lambda answered, times: self.seen.extend([answered] * times), lambda: self.now,
        )  # fmt: skip

    def write(self, *lines: str) -> None:
        with self.log.open("a") as file:
            file.writelines(lines)

    def samples(self, step: int = 10) -> dict[int, Sample]:
        rows = HistoryReader(self.path).samples(step, 0, 1e12)
        return {time: Sample.unpack(facts) for time, facts in rows}

    def requests(self, step: int = 10) -> dict[int, int]:
        """Return how many requests each sample has, by its age."""
        counted = {
            int(self.now) - t: one.counts.get("requests", 0)
            for t, one in self.samples(step).items()
        }
        return {age: count for age, count in counted.items() if count}


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return Parts(tmp_path)


# --- what is counted ------------------------------------------------------------------------------


def test_a_line_counts_at_its_own_time_in_every_step(parts: Parts) -> None:
    parts.write(*(written(NOW - age, age) for age in (0, 12, 13, 700)))
    parts.sampler.step()
    assert parts.requests(10) == {5: 1, 15: 2, 705: 1}
    assert sum(parts.requests(60).values()) == sum(parts.requests(300).values()) == 4
    assert list(parts.requests(3600).values()) == [4]


def test_what_a_line_counts_as(parts: Parts) -> None:
    parts.write(
        written(NOW, 1), written(NOW, 2, cache="RESIZED"), written(NOW, 3, cache="", status=503),
        written(NOW, 4, cache="", status=429), written(NOW, 5, cache="LATER"),
    )  # fmt: skip
    parts.sampler.step()
    (sample,) = parts.samples().values()
    assert sample.counts == {
        "requests": 5, "requests.get_thumbnail": 5, "bytes": 5000, "results.nginx": 1,
        "results.resized": 1, "errors_5xx": 1, "errors_4xx": 1, "status_429": 1,
        "token_requests.-": 5, "token_429.-": 1,
    }  # fmt: skip
    assert sum(sample.latencies["get_thumbnail"].values()) == 5
    assert sample.mean("disk_free_bytes") == 7.0
    counted = traffic.load(HistoryReader(parts.path))
    assert counted.statuses == {"200": 3, "503": 1, "429": 1}
    assert (counted.caches, counted.bytes) == ({"HIT": 1, "RESIZED": 1, "LATER": 1}, 5000)
    assert len(parts.seen) == 5
    assert Uses(parts.uses).take() == {VARIANT}


def test_a_killed_sampler_counts_nothing_twice_and_misses_nothing(parts: Parts) -> None:
    for number in range(30):
        parts.write(written(NOW, 2 * number), written(NOW, 2 * number + 1))
        if number % 3:
            parts.sampler.step()
        if number % 2:
            parts.restart()
    parts.restart()
    parts.sampler.step()
    assert parts.requests() == {5: 60}
    assert len(parts.seen) == 60
    assert traffic.load(HistoryReader(parts.path)).statuses == {"200": 60}


@pytest.mark.parametrize("time", [0, NOW - 15 * DAY, NOW + 3600, NOW + 999 * DAY])
def test_a_line_of_an_impossible_time_counts_now(parts: Parts, time: float) -> None:
    parts.write(written(time, 1))
    parts.sampler.step()
    assert parts.requests() == {5: 1}


def test_there_is_a_sample_every_10_s_whatever_happens(parts: Parts) -> None:
    for _ in range(61):
        parts.sampler.step()
        parts.now += 1
    assert list(parts.samples()) == list(range(NOW - 5, NOW + 60, 10))
    parts.now -= 3600
    parts.sampler.step()
    assert min(parts.samples()) == (parts.now - 5) // 10 * 10, "a clock that was put back"


@pytest.mark.parametrize("broken", [b"\xff\x00" * 5000, b"{" * 100_000 + b"\n", b"\n" * 5000])
def test_garbage_stops_nothing(parts: Parts, broken: bytes) -> None:
    with parts.log.open("ab") as file:
        file.write(broken + b"\n")
    parts.write(written(NOW, 1))
    while parts.sampler.step():
        pass
    parts.sampler.step()
    assert parts.requests() == {5: 1}


def test_a_disk_that_takes_nothing_costs_nothing(parts: Parts) -> None:
    parts.sampler.step()
    parts.path.unlink()
    parts.path.mkdir()
    for number in range(5):
        parts.write(written(parts.now, number))
        parts.sampler.step()
        parts.now += 10
    assert len(parts.seen) == 5
    parts.path.rmdir()
    parts.sampler.step()
    assert sum(parts.requests().values()) == 5
    parts.restart()
    parts.sampler.step()
    assert sum(parts.requests().values()) == 5


def test_a_disk_that_takes_nothing_from_the_start(parts: Parts) -> None:
    parts.path.mkdir()
    parts.write(written(parts.now, 1))
    assert parts.sampler.step() is False
    assert parts.seen == []
    parts.path.rmdir()
    parts.sampler.step()
    assert sum(parts.requests().values()) == len(parts.seen) == 1


def test_what_waits_to_be_written_is_bounded() -> None:
    pending = Pending(KEPT)
    for number in range(MOST_TIMES + 100):
        pending.at(10 * number)
    assert len(pending) == MOST_TIMES


def test_a_log_of_any_routes_makes_no_samples_of_any_size() -> None:
    pending = Pending(KEPT)
    routes = [
        "",
        *(f"route_{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(500)),
        "x" * 99,
        "a b",
    ]
    lines = {Line(NOW, "", Answered(route, 200, 0.1, 1)): 1 for route in routes}
    pending.count(lines, NOW)
    sample = pending.at(NOW)
    assert len(sample.counts) < 50
    assert sample.counts["requests.root"] == 1
    assert sample.counts["requests.other"] > 400


def test_each_tokens_requests_and_refusals_are_counted() -> None:
    pending = Pending(KEPT)
    asked = [
        ("ann", 200),
        ("ann", 429),
        ("bob.x", 403),
        ("", 401),
        *((f"c{n}", 200) for n in range(100)),
    ]
    lines = {Line(NOW, "", Answered("/a", status, 0.1, 1, client=who)): 2 for who, status in asked}
    pending.count(lines, NOW)
    told = {name: n for name, n in pending.at(NOW).counts.items() if name.startswith("token_")}
    assert (told["token_requests.ann"], told["token_429.ann"], told["token_403.bob.x"]) == (4, 2, 2)
    assert (told["token_requests.-"], told["token_401.-"]) == (2, 2)
    assert told["token_requests.other"] > 100
    assert len(told) < 40


def test_a_sample_goes_only_where_it_is_kept() -> None:
    pending = Pending(KEPT)
    pending.at(NOW - 2 * DAY).count("requests")
    assert {key.step for key in pending.changes(NOW)} == {60, 3600}


def test_much_is_read_in_pieces(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    parts.write(*(written(NOW, number) for number in range(10_000)))
    steps = 1
    while parts.sampler.step():
        steps += 1
    assert steps >= 2
    assert parts.requests() == {5: 10_000}


# --- what other processes count -------------------------------------------------------------------


def happened(folder: Path, code: str) -> None:
    """Count in a process of its own."""
    definitions = "from image_cloud.metrics.definitions import *\n"
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    subprocess.run([sys.executable, "-c", definitions + code], env=environment, check=True)


def test_downloads_count_once_whoever_counted_them(parts: Parts) -> None:
    happened(parts.metrics, "DOWNLOADS.add('ok', by=1000)")  # before there was a history
    parts.sampler.step()
    parts.now += 10
    happened(parts.metrics, "DOWNLOADS.add('ok', by=3); DOWNLOADED_BYTES.add(by=500)")
    parts.sampler.step()
    happened(parts.metrics, "DOWNLOADS.add('ok', by=2); DOWNLOADS.add('origin_reset')")
    parts.restart()
    parts.now += 10
    parts.sampler.step()
    ProcessFiles(parts.metrics).merge_ended()
    parts.now += 10
    parts.sampler.step()
    found = [sample.counts for sample in parts.samples().values()]
    assert found == [
        {}, {"downloads.ok": 3, "download_bytes": 500}, {"downloads.ok": 2, "downloads.origin_reset": 1}, {},
    ]  # fmt: skip
    (parts.metrics / "ended.json").unlink()
    happened(parts.metrics, "DOWNLOADS.add('ok', by=4)")
    parts.now += 10
    parts.sampler.step()
    assert list(parts.samples().values())[-1].counts == {"downloads.ok": 4}


def test_a_node_that_counts_nothing_has_a_history_all_the_same(parts: Parts) -> None:
    parts.metrics.rmdir()
    parts.sampler.step()
    assert len(parts.samples()) == 1


# --- gauges ---------------------------------------------------------------------------------------


class Server:
    """Answers each connection to a unix socket with the same bytes."""

    def __init__(self, path: Path, answer: bytes) -> None:
        self._answer = answer
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.bind(str(path))
        self._sock.listen()
        self.asked: list[bytes] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._sock.accept()
            with connection:
                asked = connection.recv(4096)
                if not asked:
                    return
                self.asked.append(asked)
                connection.sendall(self._answer)

    def close(self, path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(path))
        self._thread.join(60)
        self._sock.close()


def ok(content: Any) -> bytes:
    return b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n" + json.dumps(content).encode()


STATUS: dict[str, Any] = {
    "prefetch": {"urls": 10, "under_way": 3, "later": 0, "batches": 1},
    "clone_backlog": 5,
    "peers": [
        {"name": "ic01", "alive": True, "backlog": 7},
        {"name": "ic02", "alive": False, "backlog": None},
    ],
}
DECODING = {"running": 2, "waiting": 3, "waiting_prefetch": 4}


@pytest.fixture
def node(tmp_path: Path) -> Path:
    for name in ("sockets", "beats", "storage/incoming"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def gauges(node: Path, clock: float = NOW) -> dict[str, float]:
    history = HistoryReader(node / "h.sqlite")
    return Gauges(node / "storage", node, 0, history, lambda: clock)()


@pytest.fixture
def served(node: Path) -> Iterator[Path]:
    pools = {"control": ok(STATUS), "decoder": ok(DECODING)}
    servers = {node / f"sockets/{name}.sock": answer for name, answer in pools.items()}
    running = {path: Server(path, answer) for path, answer in servers.items()}
    yield node
    for path, server in running.items():
        server.close(path)


def test_gauges_of_a_node_that_is_well(served: Path) -> None:
    for name in ("0123", ".slots"):
        (served / "storage/incoming" / name).touch()
    for beat, age in (("front", 3), ("image-cloud-janitor", 5), ("image-cloud-janitor.audit", 50)):
        (served / "beats" / beat).write_text("1\n")
        os.utime(served / "beats" / beat, (NOW - age, NOW - age))
    found = gauges(served)
    expected = {
        "prefetch_waiting": 7, "prefetch_leased": 3, "clone_backlog": 5, "peer_backlog.ic01": 7,
        "peer_alive.ic01": 1, "peer_alive.ic02": 0, "decoder_running": 2, "decoder_waiting": 7,
        "fetch_running": 1, "heartbeat_age_s.front": 3, "heartbeat_age_s.janitor": 50,
    }  # fmt: skip
    assert found.items() >= expected.items()
    assert 0 < found["disk_free_bytes"] <= found["disk_bytes"]


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"HTTP/1.1 503 Busy\r\n\r\n{}", b"HTTP/1.1 200 OK\r\n\r\n{", b"\xff" * 100, ok(None), ok([]),
        ok({"prefetch": 1, "peers": {}}), ok({**STATUS, "prefetch": None, "clone_backlog": None}),
    ],
)  # fmt: skip
def test_what_does_not_answer_is_not_known(node: Path, answer: bytes) -> None:
    path = node / "sockets/control.sock"
    server = Server(path, answer)
    found = gauges(node)
    server.close(path)
    assert not {"prefetch_waiting", "clone_backlog", "decoder_running"} & found.keys()
    assert "disk_free_bytes" in found


def test_a_node_without_folders_has_no_gauges(tmp_path: Path) -> None:
    assert gauges(tmp_path / "nowhere") == {}


def test_a_pool_that_hangs_is_waited_for_a_moment(tmp_path: Path) -> None:
    path = tmp_path / "hangs"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        assert get_json(str(path), "/", 0.05) is None


def test_what_waits_in_a_pools_socket(node: Path) -> None:
    path = str(node / "sockets/fetch.sock")
    with contextlib.ExitStack() as sockets:
        pool = sockets.enter_context(socket.socket(socket.AF_UNIX))
        pool.bind(path)
        pool.listen(10)
        for _ in range(3):
            sockets.enter_context(socket.socket(socket.AF_UNIX)).connect(path)
        found = gauges(node)
    assert found["fetch_waiting"] == 3
    assert "control_waiting" not in found
    assert waiting_in({"fetch": path}) == {}, "it is closed"


# --- memory ---------------------------------------------------------------------------------------


def process(proc: Path, pid: int, parent: int, command: str, pss_kb: int | None) -> None:
    folder = proc / str(pid)
    folder.mkdir()
    (folder / "stat").write_text(f"{pid} (a) b) S {parent} 1 1")
    (folder / "cmdline").write_bytes(command.replace(" ", "\0").encode())
    if pss_kb is None:
        (folder / "statm").write_text("9999 300 100 0 0 0 0")
    else:
        (folder / "smaps_rollup").write_text(
            f"55-ff ---p [rollup]\nRss: 9999 kB\nPss: {pss_kb} kB\n"
        )


def test_memory_is_told_by_program(tmp_path: Path) -> None:
    process(tmp_path, 1, 0, "init", 1000)
    process(tmp_path, 10, 1, "python supervisord -n", 20)
    process(tmp_path, 11, 10, "python gunicorn --config x", 30)
    (tmp_path / "11/environ").write_bytes(b"A=b\0IMAGE_CLOUD_POOL=front\0C=d\0")
    process(tmp_path, 12, 11, "python gunicorn --config x", 40)
    process(tmp_path, 13, 10, "python -P -m daemons.peer_clone", 50)
    process(tmp_path, 14, 10, "nginx: master process", 60)
    process(tmp_path, 15, 14, "nginx: worker process", None)
    process(tmp_path, 16, 1, "somebody else's", 5000)
    (tmp_path / "17").mkdir()  # it has just ended
    assert memory_of(10, tmp_path) == {
        "supervisord": 20 * 1024,
        "front": 70 * 1024,
        "peer-clone": 50 * 1024,
        "nginx": (60 + 4 * 200) * 1024,
    }
    assert memory_of(99, tmp_path) == {}


def test_memory_of_real_processes() -> None:
    assert sum(memory_of(os.getpid()).values()) > 10_000_000


# --- the trend ------------------------------------------------------------------------------------


def points(*free: float, every_s: float = 3600.0) -> list[tuple[float, float]]:
    return [(number * every_s, value) for number, value in enumerate(free)]


def test_a_disk_that_fills_steadily() -> None:
    falling = points(*(1000.0 - 10 * hour for hour in range(24)))
    assert days_left(falling) == pytest.approx((1000 - 230) / 240, abs=0.01)
    assert days_left(falling, 770 - 240) == pytest.approx(1.0)
    assert days_left(falling, 9999) == 0.0


@pytest.mark.parametrize(
    "free",
    [
        [], points(5, 4), points(5, 5, 5, 5, 5, 5, 5), points(*range(24)),
        points(*(100 - n for n in range(20)), every_s=60), points(*(1e12 - n for n in range(24))),
        [(0.0, 5.0)] * 10,
    ],
)  # fmt: skip
def test_a_disk_whose_end_is_not_in_sight(free: list[tuple[float, float]]) -> None:
    assert days_left(free) is None


def test_days_left_come_from_the_history(node: Path) -> None:
    file = HistoryFile(node / "h.sqlite", KEPT)
    for number in range(288):
        sample = Sample()
        sample.measure("disk_free_bytes", 1e9 - 1e6 * number)
        file.write({Key(300, NOW // 300 * 300 - 300 * (288 - number)): adding(sample)}, {})
    assert gauges(node)["disk_days_left"] == pytest.approx(713e6 / 288e6, abs=0.02)
