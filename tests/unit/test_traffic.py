"""nginx's log is counted once, whatever is done to it meanwhile."""

import json
from pathlib import Path

import pytest

from image_cloud.process.traffic import TrafficReader, load

KEY = "ab" * 32


def hit(name: str = "200x200-fit-q85.jpg", status: int = 200, size: int = 1000) -> str:
    path = f"/variants/ab/ab/{KEY}/{name}"
    return (
        f'{{"time":"2026-11-22T18:29:26+00:00","request_id":"1-2.3-4-5","method":"GET","route":"/get_thumbnail","file":"{path}","status":{status},"bytes":{size},'
        '"seconds":0.000,"cache":"HIT"}\n'
    )


def miss(status: int = 200) -> str:
    return (
        f'{{"time":"2026-11-22T18:29:26+00:00","route":"/get_thumbnail","file":"","status":{status},"bytes":10,"seconds":0.5,'
        '"cache":"RESIZED","upstream_status":"200 : 200"}\n'
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.fixture
def reader(log: Path, tmp_path: Path) -> TrafficReader:
    return TrafficReader(log, tmp_path / "traffic.json")


def counted(tmp_path: Path) -> tuple[dict[str, int], dict[str, int], int]:
    seen = load(tmp_path / "traffic.json")
    return seen.statuses, seen.caches, seen.bytes


def test_what_is_new_is_counted_once(log: Path, reader: TrafficReader, tmp_path: Path) -> None:
    log.write_text(hit() + hit(status=304, size=5) + miss(404))
    assert reader.read() == {f"variants/ab/ab/{KEY}/200x200-fit-q85.jpg"}
    assert reader.read() == set()
    with log.open("a") as file:
        file.write(hit("100x100-fit-q85.jpg"))
    assert TrafficReader(log, tmp_path / "traffic.json").read() == {
        f"variants/ab/ab/{KEY}/100x100-fit-q85.jpg"
    }
    expected = ({"200": 2, "304": 1, "404": 1}, {"HIT": 3, "RESIZED": 1}, 2015)
    assert counted(tmp_path) == expected


def test_half_a_line_waits_for_its_end(log: Path, reader: TrafficReader, tmp_path: Path) -> None:
    log.write_text(hit() + hit()[:50])
    reader.read()
    with log.open("a") as file:
        file.write(hit()[50:])
    reader.read()
    assert counted(tmp_path)[0] == {"200": 2}


def test_a_rotated_log_is_read_to_its_end(log: Path, reader: TrafficReader, tmp_path: Path) -> None:
    log.write_text(hit())
    reader.read()
    with log.open("a") as file:
        file.write(hit())
    log.rename(tmp_path / "access.log.2")
    (tmp_path / "access.log.1").write_text(hit() * 3)
    log.write_text(hit())
    reader.read()
    reader.read()
    assert counted(tmp_path)[0] == {"200": 6}


def test_a_log_that_was_emptied_or_lost(log: Path, reader: TrafficReader, tmp_path: Path) -> None:
    assert reader.read() == set()
    log.write_text(hit() * 5)
    reader.read()
    log.write_text(hit())
    reader.read()
    assert counted(tmp_path)[0] == {"200": 6}


def test_broken_counters_begin_anew(log: Path, reader: TrafficReader, tmp_path: Path) -> None:
    (tmp_path / "traffic.json").write_text("{")
    log.write_text(hit())
    reader.read()
    assert counted(tmp_path)[0] == {"200": 1}
    assert json.loads((tmp_path / "traffic.json").read_text())["offset"] == len(hit())


def test_what_a_client_writes_into_its_path_counts_for_nothing(
    log: Path, reader: TrafficReader, tmp_path: Path
) -> None:
    forged = miss().replace("/get_thumbnail", '/x\\",\\"status\\":200,\\"cache\\":\\"HIT\\"')
    log.write_text(forged)
    reader.read()
    assert counted(tmp_path)[:2] == ({"200": 1}, {"RESIZED": 1})


def test_a_disk_that_takes_no_counters_stops_nothing(log: Path, tmp_path: Path) -> None:
    log.write_text(hit())
    (tmp_path / "full").mkdir()
    reader = TrafficReader(log, tmp_path / "full" / "traffic.json")
    (tmp_path / "full").rmdir()
    assert reader.read() == {f"variants/ab/ab/{KEY}/200x200-fit-q85.jpg"}
    (tmp_path / "full").mkdir()
    reader.read()
    reader.read()
    assert load(tmp_path / "full" / "traffic.json").statuses == {"200": 1}
