"""Originals that are answered before a storage far away has them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from image_cloud.errors import Blocked, StorageUnavailable
from image_cloud.fetch.load import Found
from image_cloud.picture.headers.entity_tag import modified_ns
from image_cloud.picture.record import Tombstone
from image_cloud.process.locks import Locks
from image_cloud.request.steps import HIT, MISS
from image_cloud.storage.files import Version
from image_cloud.storage.folders import make_folders
from image_cloud.storage.guard.calls import together
from image_cloud.storage.local.arriving import OnTheWay
from image_cloud.storage.local.lease import Lease
from image_cloud.storage.space import NONE, Room
from image_cloud.storage.store import Store
from tests.unit.test_arrival import FULL, JPEG
from tests.unit.test_load import NOW, SHA256, URL, Node

NAME = "200x200-fit-q85.jpg"


class Far:
    """A node whose originals are far away, and the jobs that it has begun."""

    def __init__(self, folder: Path, reserve: Room = NONE) -> None:
        near = folder / "near"
        for root in (folder / "far", near):
            root.mkdir()
            make_folders(root)
        self.store = Store.at(folder / "far", reserve, local=near, lease=Lease(near))
        self.way = OnTheWay(near, self.store.variants)
        self.node = Node(self.store, on_the_way=self.way)
        self.marks = near / "arriving"
        self.jobs: list[Callable[[], None]] = []

    def start(self, job: Callable[[], None]) -> bool:
        self.jobs.append(job)
        return True

    def load(self) -> Found:
        """Have the picture fetched, and a variant of it kept."""
        found = self.node.cache.load(URL, start=self.start, is_missed=True)
        self.store.variants.keep(URL.key, {NAME: b"x"})
        return found

    def finish(self) -> None:
        while self.jobs:
            self.jobs.pop()()

    def left(self) -> tuple[list[str], set[str]]:
        """Return what is marked, and the variants."""
        return [path.name for path in self.marks.iterdir()], self.store.variants.names(URL.key)


@pytest.fixture
def far(tmp_path: Path) -> Far:
    return Far(tmp_path)


def test_an_original_is_there_to_read_before_it_is_stored(far: Far) -> None:
    found = far.load()
    assert found.arriving
    with found.arriving.open() as file:
        assert file.read() == JPEG
    assert far.left() == ([URL.key], {NAME})
    assert (far.store.originals.find(URL.key), far.node.told) == (None, [])
    far.finish()
    assert far.left() == ([], {NAME})
    assert [one.key for one in far.node.told] == [URL.key]
    assert far.node.cache.load(URL).source == HIT
    with found.arriving.open() as file:
        assert file.read() == JPEG, "still there for who was given it"
    original = far.store.originals.find(URL.key)
    assert original
    assert found.arriving.version.is_of(far.store.originals.version(original))


def test_others_get_it_at_once_or_wait_as_they_need(far: Far) -> None:
    far.load()
    assert far.node.cache.load(URL, start=far.start).arriving
    whole = list[Found]()
    waits = threading.Thread(target=lambda: whole.append(far.node.cache.load(URL)))
    waits.start()
    far.finish()
    waits.join(60)
    assert [(one.arriving, one.data) for one in whole] == [(None, None)]
    assert far.node.origin.asked == 1


def test_what_is_deleted_meanwhile_takes_its_variants_along(far: Far) -> None:
    far.load()
    far.store.tombstones.write(Tombstone(URL.key, URL.text, NOW + 1, blocked=True))
    far.finish()
    assert far.left() == ([], set())
    assert (far.store.originals.find(URL.key), far.node.told) == (None, [])
    with pytest.raises(Blocked):
        far.node.cache.load(URL)


def test_what_the_storage_does_not_take_is_as_any_unstored_picture(far: Far) -> None:
    far.load()
    (far.store.root / "unrecorded").rmdir()
    far.finish()
    assert far.left() == ([], set())
    make_folders(far.store.root)
    assert (far.load().source, far.node.origin.asked) == (MISS, 1), "it was kept in memory"
    far.finish()
    assert far.node.cache.load(URL).source == HIT


def test_a_full_storage_takes_nothing_ahead(tmp_path: Path) -> None:
    far = Far(tmp_path, FULL)
    found = far.node.cache.load(URL, start=far.start)
    assert (found.data, found.arriving, far.jobs) == (JPEG, None, [])


def test_what_cannot_be_marked_is_stored_before_the_answer(far: Far) -> None:
    far.marks.rmdir()
    found = far.node.cache.load(URL, start=far.start)
    assert (found.arriving, far.jobs) == (None, [])
    assert far.store.originals.find(URL.key)


def test_a_process_that_died_leaves_nothing(far: Far) -> None:
    far.load()
    far.way.remove_lost()
    assert far.left() == ([URL.key], {NAME}), "it lives"
    far.finish()
    Locks(far.marks / URL.key).close()
    far.way.remove_lost()
    assert far.left() == ([], set())


def test_the_end_of_a_pool_waits_for_what_is_on_its_way(far: Far) -> None:
    far.load()
    ends = threading.Thread(target=far.way.finish, args=(60.0,))
    ends.start()
    assert ends.is_alive()
    far.finish()
    ends.join(60)
    assert not ends.is_alive()
    far.load()
    far.way.finish(0.0)


def test_a_version_is_known_before_its_file_has_an_inode() -> None:
    awaited = Version(None, 5, modified_ns(NOW, SHA256))
    assert awaited.is_of(Version(7, 5, awaited.modified_ns // 1000 * 1000))
    assert not awaited.is_of(Version(7, 6, awaited.modified_ns))
    assert not awaited.is_of(None)
    assert not Version(8, 5, awaited.modified_ns).is_of(Version(7, 5, awaited.modified_ns))


def test_calls_are_made_at_the_same_time() -> None:
    both = threading.Barrier(2)

    def call() -> int:
        return both.wait(60)

    assert sorted(together(call, call)) == [0, 1]

    def fail() -> None:
        raise StorageUnavailable("x")

    with pytest.raises(StorageUnavailable):
        together(lambda: 1, fail)
