"""Copies of what was just stored far away, and the pieces in which originals are sent."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from image_cloud.fetch.load import Found
from image_cloud.request.steps import MISS
from image_cloud.storage.files import pieces_of, version_of
from image_cloud.storage.guard.sending import Sender
from image_cloud.storage.local.copies import VALID_S, Copies
from image_cloud.storage.store import Store
from tests.clock import Clock
from tests.unit.test_arrival import JPEG
from tests.unit.test_arriving import Far
from tests.unit.test_load import URL, Node


@pytest.fixture
def far(tmp_path: Path) -> Far:
    return Far(tmp_path)


def stored(far: Far) -> Found:
    """Have the picture stored, now."""
    far.store.originals.remove(URL.key)
    far.store.records.remove(URL.key)
    found = far.node.cache.load(URL)
    assert (found.source, found.data) == (MISS, None)
    return found


def left(far: Far) -> list[Path]:
    return list((far.store.local / "incoming").glob(".copy-*"))


def test_what_was_just_stored_is_sent_from_the_own_disk_once(far: Far) -> None:
    found, copies = stored(far), Copies(far.store.local)
    copies_name, name = copies.give(found.copy), found.original.relative.rpartition("/")[2]
    far.store.root.rename(far.store.root.with_name("away"))
    sending = Sender(far.store, copies).open(name, copies_name)
    assert b"".join(sending.pieces) == JPEG
    assert copies.open(copies_name) is None
    version = version_of(f"{far.store.root.with_name('away')}/{found.original.relative}")
    assert sending.version[1:] == version[1:], "its tag and its date are those of the original"
    for one in (copies.open(copies.give(found.copy)) for _ in range(2)):
        assert one, "each who waited for it gets one"
        with one:
            assert one.read() == JPEG
    del found
    assert left(far) == []


def test_a_copy_is_good_for_less_than_the_second_in_which_a_delete_is_heard_of(far: Far) -> None:
    clock = Clock(1000.0)
    copies = Copies(far.store.local, clock)
    found = stored(far)
    assert found.copy
    found.copy.stored_at = clock()
    late, never_asked_for = copies.give(found.copy), copies.give(found.copy)
    assert len(left(far)) == 3, "and the one that is held"
    clock.now += VALID_S + 0.001
    assert copies.open(late) is None
    assert copies.give(found.copy) != never_asked_for
    del found
    assert len(left(far)) == 1


@pytest.mark.parametrize("name", ["", "../x", "1-" + "0" * 32, "x" * 34])
def test_a_copy_that_is_not_there_is_none(far: Far, name: str) -> None:
    assert Copies(far.store.local).open(name) is None


def test_a_storage_that_is_near_needs_none(tmp_path: Path, store: Store) -> None:
    found = Node(store).cache.load(URL)
    assert (found.source, found.copy) == (MISS, None)
    assert Copies(tmp_path).give(found.copy) == ""


class Slow(io.FileIO):
    """A file far away: it gives some bytes at a time, and cannot be closed."""

    def read(self, size: Any = -1) -> bytes:
        return super().read(min(size, 10))

    def close(self) -> None:
        super().close()
        raise OSError("not connected")


@pytest.mark.parametrize("count", [0, 1, 25, 10**6 + 10**5])
def test_a_piece_is_read_in_full_before_it_is_sent(tmp_path: Path, count: int) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(count))
    pieces = [piece for _, piece in pieces_of(Slow(path))]
    assert [len(piece) for piece in pieces] == [len(one) for one in cut(bytes(count))]


def cut(content: bytes) -> list[bytes]:
    return [content[start : start + (1 << 20)] for start in range(0, len(content), 1 << 20)] or [
        b""
    ]
