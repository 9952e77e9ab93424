"""The audit beside stores, drops and full disks, with a real PostgreSQL."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from image_cloud.config import Config, load_config
from image_cloud.config.sections import Database as Settings
from image_cloud.db import catalog
from image_cloud.db.connect import Database
from image_cloud.errors import StorageUnavailable
from image_cloud.fetch.audit import UNRECORDED, Auditor
from image_cloud.fetch.load import Cache
from image_cloud.node import open_cache, open_peers
from image_cloud.picture.key import key_of
from image_cloud.picture.record import Original, Record
from image_cloud.storage.originals import Originals
from image_cloud.storage.store import Store
from tests.frontdoor.client import jpeg
from tests.origin import Origin
from tests.storage import new_store

CONTENT = b"\xff\xd8 and so on"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return new_store(tmp_path / "storage")


@pytest.fixture
def config(store: Store, settings: Settings, origin: Origin) -> Config:
    home = store.root.parent
    (home / "run").mkdir()
    config = load_config(
        None, home=str(home), overrides="storage.path={home}/storage;node.run={home}/run"
    )
    download = dataclasses.replace(config.download, sample_origin=origin.sample_origin)
    return dataclasses.replace(config, database=settings, download=download)


@pytest.fixture
def cache(config: Config) -> Cache:
    return open_cache(config)


@pytest.fixture
def picture(store: Store) -> Record:
    """One that is on disk and settled there, but in no row yet."""
    url = "http://shop.example/1.jpg"
    record = Record(
        key_of(url), url, "shop.example", "jpeg", 1, 1, len(CONTENT),
        hashlib.sha256(CONTENT).hexdigest(), 1000.0, "origin",
    )  # fmt: skip
    with store.originals.new_file() as file:
        file.write(CONTENT)
        store.place(file, record)
    store.records.settle(record)
    return record


def test_a_row_that_comes_while_the_file_is_read(
    store: Store, settings: Settings, config: Config, cache: Cache, picture: Record
) -> None:
    database = Database(settings)
    auditor = Auditor(store, database, open_peers(config), cache)
    number = int(picture.key[:4], 16)
    assert [found.kind for found in auditor.folder(number, lambda size: None)] == [UNRECORDED]

    def commit(size: int) -> None:
        with database.transaction() as cursor:
            catalog.record(cursor, [picture])

    assert list(auditor.folder(number, commit)) == []


def test_a_picture_that_is_dropped_while_its_row_is_looked_at(
    store: Store, settings: Settings, config: Config, cache: Cache, picture: Record
) -> None:
    database = Database(settings)
    with database.transaction() as cursor:
        catalog.record(cursor, [picture])

    class Dropping(Originals):
        def find(self, key: str) -> Original | None:
            store.drop(picture)
            with database.transaction() as cursor:
                catalog.forget(cursor, [picture])
            return super().find(key)

    dropping = dataclasses.replace(store, originals=Dropping(store.root))
    auditor = Auditor(dropping, database, open_peers(config), cache)
    assert auditor.missing("", 10) == ("", [])


def test_what_the_disk_does_not_take_is_not_restored(config: Config, origin: Origin) -> None:
    storage = dataclasses.replace(config.storage, min_free_bytes=2**60)
    cache = open_cache(dataclasses.replace(config, storage=storage))
    url = origin.serve("/1.jpg", jpeg(40, 30))
    record = Record(key_of(url), url, "", "jpeg", 1, 1, 3, "a" * 64, 1000.0, "origin")
    with pytest.raises(StorageUnavailable, match="^storage: full$"):
        cache.restore(record)
