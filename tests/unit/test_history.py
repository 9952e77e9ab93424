"""What /history tells, read from a real SQLite file."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from falcon_app.control.history import HistoryAnswer
from falcon_app.front.history import HistoryAsked
from image_cloud.db.history import HistoryFile, HistoryReader, Key
from image_cloud.errors import StorageUnavailable
from image_cloud.history import latencies
from image_cloud.history.routes import TIMED_ROUTES
from image_cloud.history.sample import KEPT, Sample
from image_cloud.history.windows import WINDOWS, History, HistoryRequest
from tests.unit.web import client, redirect

HOUR, DAY = 3600, 86400
NOW = 20_000 * DAY + 1234  # 20 min 34 s after midnight


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


@pytest.fixture
def file(path: Path) -> HistoryFile:
    return HistoryFile(path, KEPT)


def put(file: HistoryFile, step: int, time: int, sample: Sample) -> None:
    file.write({Key(step, time): lambda _: sample.packed()}, {})


def added(sample: Sample) -> Callable[[bytes | None], bytes]:
    """Return what adds `sample` to what was there."""

    def change(old: bytes | None) -> bytes:
        total = Sample.unpack(old) if old else Sample()
        total.add(sample)
        return total.packed()

    return change


def asked(path: Path, window: str, now: float = NOW) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return an answer, and its rows by the names of the columns."""
    answer = History("ic00", HistoryReader(path), lambda: now).answer(HistoryRequest(window))
    return answer, [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]


def traffic(requests: int = 100) -> Sample:
    sample = Sample()
    sample.count("requests", requests)
    return sample


# --- rows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", WINDOWS)
def test_rows_are_evenly_spaced_and_unknown_where_nothing_was_written(
    path: Path, file: HistoryFile, window: str
) -> None:
    length, step = WINDOWS[window].length_s, WINDOWS[window].step_s
    for begin in (NOW - length // 2, NOW - length // 4):
        put(file, step, begin // step * step, traffic(3 * step))
    answer, rows = asked(path, window)
    assert (answer["node"], answer["step"], answer["window"]) == ("ic00", step, window)
    assert len(rows) == length // step <= 360
    times = [row["time"] for row in rows]
    assert times == list(range(times[0], times[0] + length, step))
    assert NOW - 2 * step <= rows[-1]["time"] <= NOW
    known = [row for row in rows if row["requests_per_s"] is not None]
    assert [row["requests_per_s"] for row in known] == [3.0, 3.0]
    empty = next(row for row in rows if row["requests_per_s"] is None)
    assert set(empty.values()) == {empty["time"], None}


@pytest.mark.parametrize("window", WINDOWS)
def test_without_a_file_nothing_is_known(path: Path, window: str) -> None:
    _, rows = asked(path, window)
    assert {value for row in rows for value in list(row.values())[1:]} == {None}
    assert not path.exists()


def test_a_step_under_way_shows_only_where_enough_of_it_has_passed(
    path: Path, file: HistoryFile
) -> None:
    midnight = NOW - 1234
    put(file, 10, midnight, traffic())
    put(file, 3600, midnight, traffic(1200))
    assert asked(path, "1h", midnight + 9)[1][-1]["requests_per_s"] is None
    assert asked(path, "1h", midnight + 10)[1][-1]["requests_per_s"] == 10.0
    assert asked(path, "14d", midnight + 59)[1][-1]["time"] == midnight - HOUR
    assert asked(path, "14d", midnight + 600)[1][-1]["requests_per_s"] == 2.0


def test_percentiles_and_means_are_those_of_the_whole_step(path: Path, file: HistoryFile) -> None:
    begin = NOW // 300 * 300 - 300
    for number in range(5):
        sample = traffic(30)
        sample.latency("get_image", 0.02, 99 if number else 104)
        sample.latency("get_image", 5.0, 1 if number else 0)
        sample.measure("disk_free_bytes", 10.0 * number)
        sample.measure("memory_bytes.front", 7)
        file.write({Key(300, begin): added(sample)}, {})
    row = next(row for row in asked(path, "24h")[1] if row["time"] == begin)
    assert (row["requests_per_s"], row["disk_free_bytes"]) == (0.5, 20.0)
    assert row["memory_bytes.front"] == 7.0
    assert row["p50_s"] == row["p50_s.get_image"]
    assert 0.015 < row["p50_s"] < row["p99_s"] <= 0.02, "no mean of percentiles: that would be 2 s"


def test_hits_are_those_of_pictures(path: Path, file: HistoryFile) -> None:
    begin = NOW // 10 * 10 - 10
    sample = traffic(1000)
    for result, times in (("nginx", 50), ("front", 25), ("miss", 20), ("stale", 5)):
        sample.count(f"results.{result}", times)
    put(file, 10, begin, sample)
    row = asked(path, "1h")[1][-1]
    assert (row["time"], row["hit_share"], row["results_per_s.nginx"]) == (begin, 0.75, 5.0)
    assert row["results_per_s.peer"] == 0.0
    assert row["p50_s"] is None


@pytest.mark.parametrize(
    "facts", ["", "{", "[]", '{"c":1}', '{"c":{"a":"b"},"l":{},"g":{}}', '{"c":{},"l":{"x":[]},"g":{}}']
)  # fmt: skip
def test_a_sample_that_does_not_read_says_nothing(
    path: Path, file: HistoryFile, facts: str
) -> None:
    begin = NOW // 10 * 10 - 10
    file.write({Key(10, begin): lambda _: zlib.compress(facts.encode())}, {})
    assert asked(path, "1h")[1][-1]["requests_per_s"] == 0.0


def test_a_sample_survives_its_writing() -> None:
    sample = Sample({"a": 1}, {"x": {0: 2, 29: 1}}, {"g": [0.5, 2]})
    assert Sample.unpack(sample.packed()) == sample
    for broken in (b"", b"{}", sample.packed()[:-9], zlib.compress(b"[" * 10**7)):
        assert Sample.unpack(broken) == Sample()


# --- percentiles ----------------------------------------------------------------------------------


def test_percentiles_lie_within_their_bucket() -> None:
    buckets: latencies.Buckets = {}
    for milliseconds in range(1, 1001):
        latencies.add(buckets, {latencies.bucket_of(milliseconds / 1000): 1})
    shares = [0.5, 0.95, 0.99]
    assert latencies.percentiles(buckets, shares) == [pytest.approx(share) for share in shares]


@pytest.mark.parametrize(
    ("latency_s", "low", "high"),
    [(0.0, 0.0, 0.001), (0.001, 0.0, 0.001), (0.0011, 0.001, 0.002), (100, 60, 120), (9e9, 120, 120)],
)  # fmt: skip
def test_one_latency(latency_s: float, low: float, high: float) -> None:
    (value,) = latencies.percentiles({latencies.bucket_of(latency_s): 1}, [0.5])
    assert value is not None
    assert low <= value <= high


def test_no_latency_has_no_percentile() -> None:
    assert latencies.percentiles({}, (0.5, 0.99)) == [None, None]


# --- the file -------------------------------------------------------------------------------------


def test_only_its_owner_reads_the_file(path: Path, file: HistoryFile) -> None:
    file.write({}, {"a": "b"})
    files = list(path.parent.iterdir())
    assert {one.stat().st_mode & 0o777 for one in files} == {0o600}
    assert len(files) == 3, "and its log"


def test_samples_and_state_are_written_together(path: Path, file: HistoryFile) -> None:
    def fail(_: bytes | None) -> bytes:
        raise ZeroDivisionError

    def more(old: bytes | None) -> bytes:
        return (old or b"none") + b" and more"

    file.write({Key(10, 10): more}, {"place": "1"})
    with pytest.raises(ZeroDivisionError):
        file.write({Key(10, 10): lambda _: b"new", Key(10, 20): fail}, {"place": "2"})
    file.write({Key(10, 10): more}, {})
    assert file.state("place") == HistoryReader(path).state("place") == "1"
    assert HistoryReader(path).samples(10, 0, 99) == [(10, b"none and more and more")]
    assert HistoryReader(path).newest(10, 0, 99) == b"none and more and more"


@pytest.mark.parametrize("damage", ["text", "middle", "version", "link"])
def test_a_broken_file_is_set_aside(path: Path, file: HistoryFile, damage: str) -> None:
    for number in range(2000):
        file.write({Key(10, number): lambda _: b"x" * 500}, {"place": "1"})
    file.close()
    if damage == "text":
        path.write_text("no database at all" * 9999)
    elif damage == "middle":
        with path.open("r+b") as broken:
            broken.seek(8192)
            broken.write(os.urandom(200_000))
    elif damage == "version":
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 99")
    else:
        path.rename(path.with_name("elsewhere"))
        path.symlink_to("elsewhere")
        with pytest.raises(StorageUnavailable):
            file.write({}, {"place": "2"})
        return
    file.write({Key(10, 5): lambda _: b"{}"}, {"place": "2"})
    assert HistoryReader(path).samples(10, 0, 9999) == [(5, b"{}")]
    assert file.state("place") == "2"
    assert path.with_name("history.sqlite.broken").exists()


@pytest.mark.parametrize(("place", "size"), [(0, 40_000), (200_000, 100_000)])
def test_a_file_that_breaks_while_it_is_open_is_noticed(
    path: Path, file: HistoryFile, place: int, size: int
) -> None:
    for number in range(2000):
        file.write({Key(10, number): lambda _: b"x" * 500}, {"place": "1"})
    file.check()
    with path.open("r+b") as broken:
        broken.seek(place)
        broken.write(os.urandom(size))
    file.check()
    file.write({Key(10, 5): lambda _: b"{}"}, {"place": "2"})
    assert HistoryReader(path).samples(10, 0, 9999) == [(5, b"{}")]
    assert path.with_name("history.sqlite.broken").exists()


def test_a_file_that_is_removed_is_made_again(path: Path, file: HistoryFile) -> None:
    file.write({}, {"a": "1"})
    path.unlink()
    file.write({}, {"a": "2"})
    assert HistoryReader(path).state("a") == "2"


def test_a_full_file_loses_its_oldest_samples(path: Path) -> None:
    file = HistoryFile(path, KEPT, max_bytes=400_000)
    for number in range(1000):
        file.write({Key(10, number): lambda _: b"x" * 1000}, {"place": str(number)})
    kept = [time for time, _ in HistoryReader(path).samples(10, 0, 9999)]
    assert kept[-1] == 999
    assert 250 < len(kept) < 400
    assert kept == list(range(kept[0], 1000))
    assert path.stat().st_size <= 400_000


def test_a_folder_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path / "missing/history.sqlite", KEPT)
    with pytest.raises(StorageUnavailable):
        file.write({}, {"a": "1"})
    (tmp_path / "missing").mkdir()
    file.write({}, {"a": "1"})
    assert file.state("a") == "1"


@pytest.mark.parametrize("is_extreme", [False, True])
def test_two_weeks_stay_below_50_mb(path: Path, is_extreme: bool) -> None:
    """What a busy node writes fits; of the largest samples that there can be, the oldest go."""
    file = HistoryFile(path, KEPT)
    packed = busy_sample(buckets=30 if is_extreme else 15).packed()
    for step, most in KEPT.items():
        for first in range(0, most + 50, 1000):
            numbers = range(first, min(first + 1000, most + 50))
            file.write({Key(step, 14 * DAY - n * step): lambda _: packed for n in numbers}, {})
    file.prune(14 * DAY)
    assert sum(one.stat().st_size for one in path.parent.iterdir()) < 50_000_000
    kept = {step: len(HistoryReader(path).samples(step, 0, 99 * DAY)) for step in KEPT}
    assert is_extreme or kept == KEPT, "all of them fit"
    assert [kept[step] for step in (10, 300, 3600)] == [KEPT[step] for step in (10, 300, 3600)]


def busy_sample(buckets: int) -> Sample:
    sample = Sample()
    numbers = random.Random(1)
    for number in range(40):
        sample.count(f"requests.some_route_{number}", numbers.randrange(10**6))
    for route in TIMED_ROUTES:
        for bound in latencies.BOUNDS_S[:buckets]:
            sample.latency(route, bound, numbers.randrange(10**4))
    for number in range(30):
        sample.measure(f"memory_bytes.program_{number}", numbers.randrange(10**9))
    return sample


def test_no_more_samples_are_kept_than_wanted(path: Path) -> None:
    file = HistoryFile(path, {10: 100, 60: 10})
    for time in range(0, 5000, 10):
        file.write({Key(10, time): lambda _: b"{}", Key(60, time): lambda _: b"{}"}, {})
    file.prune(5000)
    left = {step: [t for t, _ in HistoryReader(path).samples(step, 0, 9999)] for step in (10, 60)}
    assert left == {10: list(range(4000, 5000, 10)), 60: list(range(4900, 5000, 10))}


@pytest.mark.parametrize("wrong", [0, 10**10])
def test_a_clock_that_was_wrong_costs_no_sample_of_the_right_time(path: Path, wrong: int) -> None:
    file = HistoryFile(path, {10: 100})
    for begin, count in ((NOW, 90), (wrong, 50), (NOW + 900, 5)):
        for time in range(begin, begin + 10 * count, 10):
            file.write({Key(10, time): lambda _: b"{}"}, {})
            file.prune(time)
    kept = [time for time, _ in HistoryReader(path).samples(10, NOW - DAY, NOW + DAY)]
    assert len(kept) >= 55
    assert kept[-1] == NOW + 940
    assert len(HistoryReader(path).samples(10, 0, 10**11)) <= 100


def test_readers_and_writer_do_not_wait_for_each_other(path: Path, file: HistoryFile) -> None:
    file.write({}, {"n": "0"})
    seen: list[int] = []

    def read() -> None:
        while not seen or seen[-1] < 200:
            seen.append(int(HistoryReader(path).state("n") or -1))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 201):
        file.write({Key(10, number): lambda _: b"x" * 500}, {"n": str(number)})
    reader.join(60)
    assert not reader.is_alive()
    assert seen == sorted(seen)
    assert min(seen) >= 0


# --- over HTTP ------------------------------------------------------------------------------------


def test_operators_may_ask() -> None:
    routes = {"/history": HistoryAsked()}
    answer = client(routes, ["ops"]).simulate_get("/history", params={"window": "6H"})
    assert redirect(answer) == "/_history?window=6h"
    assert HistoryAsked.scope == "ops"
    refused = client(routes, ["ops"]).simulate_get("/history", params={"window": "2h"})
    assert refused.status_code == 400
    assert "1h, 6h, 24h, 14d" in refused.json["detail"]


def test_the_control_pool_answers(path: Path, file: HistoryFile) -> None:
    put(file, 10, NOW // 10 * 10 - 10, traffic())
    routes = {"/_history": HistoryAnswer(History("ic00", HistoryReader(path), lambda: NOW))}
    answer = client(routes).simulate_get("/_history", headers={"X-Image-Cloud-Internal": "1"})
    assert answer.json["rows"][-1][:1] == [NOW // 10 * 10 - 10]
    assert answer.json["columns"][0] == "time"
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(json.dumps(answer.json)) < 200_000
