"""What the recorder tells a real PostgreSQL, and what it leaves to the janitor."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from image_cloud.config.sections import Database as Settings
from image_cloud.db import catalog
from image_cloud.db.connect import Database
from image_cloud.errors import DatabaseUnavailable
from image_cloud.picture.record import Record
from image_cloud.storage.recorder import Recorder
from image_cloud.storage.store import Store
from tests.cloning import keep, picture
from tests.frontdoor.client import eventually
from tests.node import AWAY
from tests.storage import new_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return new_store(tmp_path / "storage")


@pytest.fixture
def pictures(store: Store) -> list[Record]:
    """Three that are on disk, with notes."""
    found = [picture(number) for number in range(3)]
    for one in found:
        keep(store, one)
    return found


def rows(database: Database) -> int:
    with database.transaction() as cursor:
        return len(catalog.after(cursor, "", 100))


def test_a_step_records_all_that_has_come(
    store: Store, database: Database, pictures: list[Record]
) -> None:
    recorder = Recorder(store, database)
    for one in pictures:
        recorder.add(one)
    assert recorder.step()
    assert rows(database) == 3
    assert list(store.records.unrecorded()) == []


def test_without_work_a_step_waits_until_it_is_woken(store: Store, database: Database) -> None:
    recorder, done = Recorder(store, database), threading.Event()

    def step() -> None:
        recorder.step()
        done.set()

    threading.Thread(target=step, daemon=True).start()
    recorder.wake()
    assert done.wait(60)
    assert rows(database) == 0


def test_the_last_thing_it_does_is_to_record_what_waits(
    store: Store, database: Database, pictures: list[Record]
) -> None:
    recorder = Recorder(store, database)
    recorder.wake()
    for one in pictures:
        recorder.add(one)
    recorder.finish()
    assert rows(database) == 3


def test_without_a_database_the_notes_stay(store: Store, pictures: list[Record]) -> None:
    recorder = Recorder(store, Database(AWAY))
    recorder.add(pictures[0])
    with pytest.raises(DatabaseUnavailable):
        recorder.step()
    recorder.add(pictures[1])
    recorder.finish()
    assert len(list(store.records.unrecorded())) == 3


def test_a_pool_starts_and_stops_it(
    store: Store, settings: Settings, pictures: list[Record]
) -> None:
    recorder, database = Recorder(store, Database(settings)), Database(settings)
    recorder.start()
    recorder.add(pictures[0])
    eventually(lambda: rows(database) == 1, "the first is recorded")
    for one in pictures[1:]:
        recorder.add(one)
    recorder.stop()
    assert rows(database) == 3
