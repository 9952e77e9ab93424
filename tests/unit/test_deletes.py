"""A delete on disk, with the database away: it holds here, and a note is left for later."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from image_cloud.cluster.clock import ClusterClock
from image_cloud.cluster.deletes import Deleted, Deletes
from image_cloud.config.sections import Failures as FailureSettings
from image_cloud.errors import CorruptImage, DatabaseUnavailable, OriginNotFound, StorageUnavailable
from image_cloud.picture.record import TICK_S, Record
from image_cloud.picture.url import Url
from image_cloud.storage.failures import FETCH, RESIZE, Failures
from image_cloud.storage.store import Store

URL, NOW = Url.parse("http://shop.example/a.jpg"), 1000.0


class Away:
    """A database that cannot be reached."""

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        raise DatabaseUnavailable
        yield


@pytest.fixture
def failures(store: Store) -> Failures:
    return Failures(store.root, FailureSettings())


@pytest.fixture
def deletes(store: Store, failures: Failures) -> Deletes:
    clock = ClusterClock(store.root / "cluster" / "clock.json", lambda: NOW)
    return Deletes(store, failures, Away(), clock)


def keep(store: Store, stored_at: float) -> None:
    record = Record(URL.key, URL.text, URL.host, "jpeg", 1, 1, 3, "5" * 64, stored_at, "origin")
    with store.originals.new_file() as file:
        file.write(b"abc")
        store.place(file, record)


def test_everything_of_a_picture_goes(store: Store, failures: Failures, deletes: Deletes) -> None:
    keep(store, 10.0)
    store.variants.keep(URL.key, {"1x1-fit-q85.jpg": b"small"})
    failures.remember(URL.key, OriginNotFound(), FETCH)
    failures.remember(URL.key, CorruptImage(), RESIZE)
    assert deletes.delete(URL) == Deleted(deleted=True, blocked=False, recorded=False)
    assert (store.originals.find(URL.key), store.records.find(URL.key)) == (None, None)
    assert store.variants.names(URL.key) == set()
    assert [failures.recall(URL.key, kind) for kind in (FETCH, RESIZE)] == [None, None]
    (told,) = store.tombstones.unrecorded()
    assert (told.url, told.host, told.deleted_at) == (URL.text, URL.host, NOW)
    assert not deletes.delete(URL).deleted


@pytest.mark.parametrize("ahead_s", [-1.0, 0.0, 3600.0])
def test_a_delete_is_later_than_the_picture_whatever_the_clocks_say(
    store: Store, deletes: Deletes, ahead_s: float
) -> None:
    keep(store, NOW + ahead_s)
    assert deletes.delete(URL).deleted
    found = store.tombstones.find(URL.key)
    assert found
    assert found.deleted_at == pytest.approx(max(NOW, NOW + ahead_s + TICK_S), abs=1e-7)


def test_a_block_stays_until_it_is_lifted(deletes: Deletes) -> None:
    blocks = [deletes.delete(URL, block).blocked for block in (None, True, None, False, None)]
    assert blocks == [False, True, True, False, False]


def test_a_delete_that_cannot_be_written_is_no_delete(tmp_path: Path, deletes: Deletes) -> None:
    (tmp_path / "tombstones" / URL.key[:2]).write_text("in the way")
    with pytest.raises(StorageUnavailable, match="^storage: "):
        deletes.delete(URL)
