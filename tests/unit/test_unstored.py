"""What a full storage leaves in memory: for how long, how much, and for whom."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from image_cloud.fetch.arrival import Delivery
from image_cloud.fetch.unstored import Kept, Unstored
from tests.clock import Clock

DELIVERY = Delivery("a" * 64, 1000.0, "origin", True, is_private=True)
MOST_BYTES, KEEP_S = 5000, 60.0


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000.0)


@pytest.fixture
def memory(tmp_path: Path, clock: Clock) -> Unstored:
    return Unstored(tmp_path / "memory", MOST_BYTES, KEEP_S, clock)


def kept(count: int = 1000) -> Kept:
    return Kept(DELIVERY, os.urandom(count))


def test_it_is_found_by_every_process_until_its_time_is_over(
    tmp_path: Path, memory: Unstored, clock: Clock
) -> None:
    one = kept()
    memory.keep("one", one)
    clock.now += KEEP_S
    assert Unstored(tmp_path / "memory", MOST_BYTES, KEEP_S, clock).find("one") == one
    clock.now += 1
    assert memory.find("one") is None
    memory.expire()
    assert not (tmp_path / "memory").exists()


def test_the_oldest_make_room(tmp_path: Path, memory: Unstored, clock: Clock) -> None:
    for name in "abcdef":
        memory.keep(name, kept())
        clock.now += 1
    assert [name for name in "abcdef" if memory.find(name)] == list("cdef")
    memory.keep("larger than all", kept(MOST_BYTES))
    assert memory.find("larger than all") is None
    assert memory.find("f")
    memory.forget("f")
    assert memory.find("f") is None
    memory.clear()
    assert not (tmp_path / "memory").exists()


def test_a_new_one_takes_the_place_of_the_old(memory: Unstored) -> None:
    memory.keep("one", kept())
    memory.keep("one", newer := kept())
    assert memory.find("one") == newer


def test_nothing_is_kept_where_that_is_the_setting(tmp_path: Path) -> None:
    for most_bytes, keep_s in ((MOST_BYTES, 0.0), (0, KEEP_S)):
        memory = Unstored(tmp_path / "memory", most_bytes, keep_s)
        memory.keep("one", kept())
        assert memory.find("one") is None


@pytest.mark.parametrize("is_link", [False, True])
def test_a_folder_that_others_may_write_is_not_used(
    tmp_path: Path, memory: Unstored, is_link: bool
) -> None:
    theirs = tmp_path / ("theirs" if is_link else "memory")
    theirs.mkdir()
    if is_link:
        (tmp_path / "memory").symlink_to(theirs)
    else:
        theirs.chmod(0o777)
    os.mkfifo(theirs / "one")  # opening it would wait for ever
    memory.keep("two", kept())
    assert (memory.find("one"), memory.find("two")) == (None, None)
    assert os.listdir(theirs) == ["one"]


@pytest.mark.parametrize("content", [b"", b"{}", b"[]\n", b'{"sha256": 1}\nabc', b"\xff\n"])
def test_a_broken_file_is_none(
    tmp_path: Path, memory: Unstored, clock: Clock, content: bytes
) -> None:
    memory.keep("one", kept())
    path = tmp_path / "memory" / "one"
    path.write_bytes(content)
    os.utime(path, (clock.now, clock.now))
    assert memory.find("one") is None
