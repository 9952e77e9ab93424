"""nginx's access log is read once, whatever is done to it meanwhile."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from image_cloud.history import uses
from image_cloud.history.access_log import QUIET_S, AccessLog, Place
from image_cloud.history.lines import Line, parse
from image_cloud.history.uses import MOST_BYTES, Uses
from image_cloud.metrics.requests import Answered

KEY = "ab" * 32
VARIANT = f"variants/ab/ab/{KEY}/200x200-fit-q85.jpg"


def line(number: int, size: int = 200) -> str:
    """Return a line of the log; each has a request id of its own, as nginx's have."""
    start = f'{{"time":"2026-11-22T18:29:26+00:00","request_id":"{number:020}","method":"GET"'
    return f"{start:{size - 2}}}}\n"


class Follower:
    """Reads `log` step by step; each step is a process of its own."""

    def __init__(self, log: Path, chunk_bytes: int = 4096) -> None:
        self.log = log
        self.now = 0.0
        self.chunk_bytes = chunk_bytes
        self.place = Place()
        self.read: list[int] = []

    def step(self) -> int:
        """Read one piece; return how many lines it had."""
        reader = AccessLog(self.log, self.chunk_bytes, lambda: self.now)
        found, self.place = reader.next(Place(**json.loads(json.dumps(vars(self.place)))))
        numbers = [int(json.loads(one)["request_id"]) for one in found.splitlines()]
        self.read += numbers
        return len(numbers)

    def all(self) -> list[int]:
        while self.step():
            pass
        return self.read


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.fixture
def follower(log: Path) -> Follower:
    return Follower(log)


def write(path: Path, *numbers: int) -> None:
    with path.open("a") as file:
        file.writelines(map(line, numbers))


def rotate(log: Path) -> None:
    """Move the log aside as image_cloud/supervision/log_rotation.py does."""
    for number in range(8, 0, -1):
        old = log.with_name(f"access.log.{number}")
        if old.exists():
            old.rename(log.with_name(f"access.log.{number + 1}"))
    log.rename(log.with_name("access.log.1"))


# --- following ------------------------------------------------------------------------------------


def test_what_is_new_is_read_once(log: Path, follower: Follower) -> None:
    assert follower.all() == []
    write(log, *range(100))
    assert follower.step() == 20, "a piece at a time"
    assert follower.all() == list(range(100))
    write(log, 100)
    assert follower.all() == list(range(101))


def test_half_a_line_waits_for_its_end(log: Path, follower: Follower) -> None:
    for text in (line(1)[:50], line(1)[50:] + line(2)[:150], line(2)[150:]):
        with log.open("a") as file:
            file.write(text)
        follower.all()
    assert follower.read == [1, 2]


def test_a_rotated_log_is_read_to_its_end(log: Path, follower: Follower) -> None:
    write(log, 1, 2)
    follower.step()
    write(log, 3)
    rotate(log)
    write(log, 4)
    rotate(log)
    write(log, 5, 6)
    for old in log.parent.glob("access.log.*"):
        os.utime(old, (-99, -99))
    assert follower.all() == [1, 2, 3, 4, 5, 6]


def test_a_rotated_log_may_still_grow_for_a_moment(log: Path, follower: Follower) -> None:
    """nginx's workers move to the new log one after the other."""
    write(log, 1)
    follower.now = log.stat().st_mtime
    follower.step()
    rotate(log)
    write(log, 10)
    assert follower.all() == [1]
    write(log.with_name("access.log.1"), 2)
    assert follower.all() == [1, 2]
    follower.now += QUIET_S + 1
    assert follower.all() == [1, 2, 10]


def test_a_log_that_is_copied_and_emptied(log: Path, follower: Follower) -> None:
    follower.now = 1e12
    write(log, *range(10))
    follower.step()
    write(log, 10, 11)
    shutil.copy(log, log.with_name("access.log.1"))
    assert follower.all() == list(range(12)), "the copy is no second log"
    write(log, 12)
    shutil.copy(log, log.with_name("access.log.1"))
    os.truncate(log, 0)
    assert follower.all() == list(range(13)), "the end of it is in the copy"
    write(log, *range(13, 50))
    assert follower.all() == list(range(50)), "though it is longer than before"


@pytest.mark.parametrize("count", [1, 10, 20])
def test_a_log_that_is_emptied(log: Path, follower: Follower, count: int) -> None:
    write(log, *range(10))
    follower.step()
    os.truncate(log, 0)
    write(log, *range(100, 100 + count))
    assert follower.all() == [*range(10), *range(100, 100 + count)]


def test_a_log_with_the_inode_of_another(log: Path, follower: Follower) -> None:
    write(log, 1, 2, 3)
    follower.all()
    inode = log.stat().st_ino
    with log.open("w") as file:
        file.writelines(map(line, range(10, 20)))
    assert log.stat().st_ino == inode
    assert follower.all() == [1, 2, 3, *range(10, 20)]


def test_a_log_that_is_removed_and_all_that_follow(log: Path, follower: Follower) -> None:
    write(log, 1)
    follower.all()
    log.unlink()
    assert follower.all() == [1]
    write(log, 2)
    assert follower.all() == [1, 2]


def test_a_line_without_end_does_not_stop_it(log: Path, follower: Follower) -> None:
    with log.open("wb") as file:
        file.write(b"x" * 10_000 + b"\n")
    write(log, 1)
    reader, place, found = AccessLog(log, 4096), Place(), []
    for _ in range(5):
        some, place = reader.next(place)
        found.append(some)
    assert b"".join(found) == log.read_bytes()


def test_what_stands_beside_the_log_is_not_read(log: Path, follower: Follower) -> None:
    write(log, 1)
    for name in ("access.log.1.gz", "access.log.old", "access.log-20260101", "xaccess.log.1"):
        write(log.with_name(name), 7)
    log.with_name("access.log.3").mkdir()
    assert follower.all() == [1]
    rotate(log)
    write(log, 2)
    assert follower.all()[:1] == [1]


# --- lines ----------------------------------------------------------------------------------------


HIT = (
    '{"time":"2026-11-22T18:29:26+00:00","request_id":"1-2.3-4-5","method":"GET","route":"/get_thumbnail",'
    f'"file":"/{VARIANT}","status":200,"bytes":1000,"seconds":0.000,"cache":"HIT","client":"127.0.0.1"}}\n'
)
MISS = (
    '{"time":"2026-11-22T20:29:27+02:00","request_id":"x","method":"GET","route":"/get_image","file":"",'
    '"status":404,"bytes":10,"seconds":12.345,"cache":"","code":"origin_not_found","upstream_status":[200],'
    '"upstream_seconds":[0.001],"client":"::1"}\n'
)
OWN = MISS.replace('"client":"::1"', '"client":"::1","token_client":"shop.front-1"')


def test_lines_say_what_became_of_requests() -> None:
    time = 1795372166
    assert parse((HIT + MISS + HIT).encode()) == {
        Line(time, VARIANT, Answered("/get_thumbnail", 200, 0.0, 1000, "HIT", by_pool=False)): 2,
        Line(time + 1, "", Answered("/get_image", 404, 12.345, 10)): 1,
    }
    (own,) = parse(OWN.encode())
    assert own.answered == Answered("/get_image", 404, 12.345, 10, client="shop.front-1")
    (none,) = parse(OWN.replace("shop.front-1", "").encode())
    assert none.answered.client == ""


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "{}", HIT[:-60], "x" + HIT, '{"time":', "\x00" * 500, "\xff\xfe" * 50,
        HIT.replace('"status":200', '"status":2e2'), HIT.replace("1000", "-1"), HIT.replace("1000", "9" * 40),
        HIT.replace('"GET"', r'"G\"T","route":"/health"'), HIT.replace("0.000", "nan"),
    ],
)  # fmt: skip
def test_what_is_no_line_of_the_log_is_passed_over(text: str) -> None:
    found = parse((text + "\n" + MISS).encode("latin-1"))
    assert [one.answered.route for one in found] == ["/get_image"]


@pytest.mark.parametrize("time", ["", "2026-99-22T18:29:26+00:00", "yesterday at noon, or so"])
def test_a_time_that_does_not_read_is_none(time: str) -> None:
    text = HIT.replace("2026-11-22T18:29:26+00:00", time).encode()
    assert [one.time for one in parse(text)] == ([None] if time else [])


# --- what was used --------------------------------------------------------------------------------


def test_uses_are_taken_once(tmp_path: Path) -> None:
    now = 0.0
    sampler, janitor = Uses(tmp_path / "uses", lambda: now), Uses(tmp_path / "uses")
    assert janitor.take() == set()
    sampler.add(["variants/a", "variants/b"])
    sampler.add(["variants/b", "variants/c"])
    assert (tmp_path / "uses").read_text().count("\n") == 3
    assert janitor.take() == {"variants/a", "variants/b", "variants/c"}
    sampler.add(["variants/a"])
    assert janitor.take() == set(), "it was noted in this minute"
    now += uses.NOTED_FOR_S
    sampler.add(["variants/a"])
    assert janitor.take() == {"variants/a"}


def test_uses_that_nobody_takes_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "uses"
    path.touch()
    os.truncate(path, MOST_BYTES)
    Uses(path).add(["variants/a"])
    assert path.stat().st_size == MOST_BYTES
