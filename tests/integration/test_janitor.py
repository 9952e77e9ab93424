"""The janitor and its audit with a real PostgreSQL, built from a node's parts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from daemons.janitor.audit import Audit
from daemons.janitor.eviction import Eviction
from daemons.janitor.janitor import LEFT_OVER_AGE_S, NOTE_AGE_S, Janitor
from image_cloud.config.sections import Database as Settings
from image_cloud.db import catalog
from image_cloud.errors import OriginReset
from image_cloud.fetch.audit import MISSING, Batch, Finding
from image_cloud.fetch.audit_state import AuditState, Place
from image_cloud.history.uses import Uses
from image_cloud.metrics.process_files import ProcessFiles
from image_cloud.node import Node
from image_cloud.picture.record import Original, Tombstone
from image_cloud.process import json_file
from image_cloud.storage.originals import FOLDERS
from tests.clock import Clock
from tests.cloning import keep, picture
from tests.node import new_node

PICTURE = picture(1)
IDLE_S = 10.0


class Parts:
    """A janitor with a clock of its own, and the node that it looks after."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.node: Node = new_node(folder, database=settings)
        self.clock = Clock(2_000_000_000.0)
        self.goes_on = True
        node = self.node
        self.uses = Uses(node.run / "pools" / "uses")
        self.janitor = Janitor(
            node.store, node.failures, node.unstored, node.database,
            self.uses,
            Eviction(node.storage, 1000, node.store.space, self.clock), IDLE_S, node.clock,
            tombstones_keep_s=100.0, go_on=lambda: self.goes_on,
            metrics=ProcessFiles(node.run / "metrics"), clock=self.clock,
        )  # fmt: skip

    def rows(self) -> list[str]:
        with self.node.database.transaction() as cursor:
            return [one.key for one in catalog.after(cursor, "", 100)]


@pytest.fixture
def parts(tmp_path: Path, settings: Settings) -> Parts:
    return Parts(tmp_path, settings)


def aged(path: Path, clock: Clock, age_s: float) -> Path:
    os.utime(path, (clock.now - age_s, clock.now - age_s))
    return path


def test_what_the_database_missed_is_recorded(parts: Parts) -> None:
    keep(parts.node.store, PICTURE)
    note = parts.node.storage / "unrecorded" / f"{PICTURE.key}.json"
    aged(note, parts.clock, NOTE_AGE_S - 1)
    assert not parts.janitor.step()
    assert parts.rows() == []  # it is most likely on its way through a recorder
    aged(note, parts.clock, NOTE_AGE_S + 1)
    parts.janitor.step()
    assert parts.rows() == [PICTURE.key]
    assert not note.exists()


def test_a_note_whose_original_never_came_goes(parts: Parts) -> None:
    keep(parts.node.store, PICTURE)
    parts.node.store.originals.remove(PICTURE.key)
    note = parts.node.storage / "unrecorded" / f"{PICTURE.key}.json"
    aged(note, parts.clock, LEFT_OVER_AGE_S - 1)
    parts.janitor.step()
    assert note.exists()
    aged(note, parts.clock, LEFT_OVER_AGE_S + 1)
    parts.janitor.step()
    assert not note.exists()
    assert parts.rows() == []


def test_deletes_that_the_database_missed_are_recorded(parts: Parts) -> None:
    with parts.node.database.transaction() as cursor:
        catalog.upsert(cursor, [PICTURE])
    tombstone = Tombstone(PICTURE.key, PICTURE.url, PICTURE.stored_at + 1)
    parts.node.store.bury(tombstone, parts.node.clock.now())
    parts.janitor.step()
    assert parts.rows() == []
    assert list(parts.node.store.tombstones.unrecorded()) == []


def test_old_left_overs_are_swept_and_nothing_else(parts: Parts) -> None:
    storage = parts.node.storage
    temporary = ".feed.json.0123456789abcdef.new"
    old = [
        storage / "incoming" / ".0123", storage / "variants" / ".incoming" / ".4567",
        storage / "cluster" / temporary, storage / "domains" / temporary,
    ]  # fmt: skip
    kept = [
        storage / "incoming" / ".slots", storage / "incoming" / ".decoding",
        storage / "cluster" / "feed.json", storage / "cluster" / ".placing",
    ]  # fmt: skip
    young = [storage / "incoming" / ".89ab", storage / "cluster" / ".x.json.0123456789abcdef.new"]
    for path in (*old, *kept, *young):
        path.write_text("x")
        aged(path, parts.clock, LEFT_OVER_AGE_S * (0.5 if path in young else 2))
    parts.janitor.step()
    assert [path for path in old if path.exists()] == []
    assert all(path.exists() for path in (*kept, *young))


def test_failures_expire(parts: Parts) -> None:
    node = parts.node
    node.failures.remember(PICTURE.key, OriginReset())
    parts.janitor.step()
    assert node.failures.recall(PICTURE.key)
    (path,) = (node.storage / "failures").rglob("*.json")
    path.write_text(path.read_text().replace('"until": ', '"until": 0, "x": '))
    parts.clock.now += 3600
    parts.janitor.step()
    assert not path.exists()


def test_a_full_disk_does_not_stop_the_round(parts: Parts) -> None:
    (parts.node.run / "pools" / "uses").mkdir()  # nothing can be read there
    keep(parts.node.store, PICTURE)
    aged(parts.node.storage / "unrecorded" / f"{PICTURE.key}.json", parts.clock, 60)
    parts.janitor.step()
    assert parts.rows() == [PICTURE.key]


def test_after_sigterm_a_sweep_is_broken_off(parts: Parts) -> None:
    old = parts.node.storage / "incoming" / ".0123"
    old.write_text("x")
    aged(old, parts.clock, LEFT_OVER_AGE_S * 2)
    parts.goes_on = False
    parts.janitor.step()
    assert old.exists()


# --- the audit ---


class Auditor:
    """Finds what it is told to in batches of one folder; repairs are noted down."""

    def __init__(self, lost: int = 0) -> None:
        self.lost = [Finding(MISSING, picture(n).key, picture(n), None) for n in range(lost)]
        self.seen: list[int] = []
        self.repaired: list[str] = []
        self.during: Any = lambda: None
        self.error: Exception | None = None

    def missing(self, key: str, limit: int) -> tuple[str, list[Finding]]:
        found, self.lost = self.lost, []
        return "", found

    def batches(self, first: int) -> Iterator[Batch]:
        for number in range(first, FOLDERS):
            yield Batch(number, number + 1, [Original(f"{number:04x}{0:060x}", "jpg")])

    def look_at(self, originals: Sequence[Original], on_read: Any) -> Any:
        self.seen += [int(one.key[:4], 16) for one in originals]
        on_read(100)
        self.during()
        return iter(())

    def repair(self, finding: Finding) -> str:
        self.repaired.append(finding.key)
        self.during()
        if self.error:
            raise self.error
        return "fetched"


class Auditing:
    def __init__(self, folder: Path, auditor: Auditor, bytes_per_second: int = 300) -> None:
        self.clock, self.folder, self.goes_on = Clock(2_000_000_000.0), folder, True
        self.audit = Audit(
            auditor,
            AuditState(folder),
            folder / ".audit",
            bytes_per_second,
            1000.0,
            lambda: self.goes_on,
            self.clock,
        )

    def stop(self) -> None:
        self.goes_on = False

    def place(self) -> Place | None:
        return json_file.read(self.folder / "audit.json", Place)


def test_a_step_of_the_audit_keeps_the_budget_and_its_place(tmp_path: Path) -> None:
    auditor = Auditor()
    auditing = Auditing(tmp_path, auditor)
    auditing.audit.step()
    assert auditor.seen == [0, 1, 2]
    assert auditing.audit.idle_s == 1.0  # 300 bytes of 300 a second
    assert auditing.place() == Place(3)
    Auditing(tmp_path, auditor).audit.step()  # another process
    assert auditor.seen == [0, 1, 2, 3, 4, 5]


def test_after_the_last_folder_it_rests(tmp_path: Path) -> None:
    auditor = Auditor()
    auditing = Auditing(tmp_path, auditor)
    json_file.write(tmp_path / "audit.json", Place(FOLDERS - 2))
    auditing.audit.step()
    auditing.audit.step()
    assert auditor.seen == [FOLDERS - 2, FOLDERS - 1]
    auditing.clock.now += 1001
    auditing.audit.step()
    assert auditor.seen[2:] == [0, 1, 2]


@pytest.mark.parametrize(
    "text", ['{"folder": 99999999, "rest_until": 0}', "{", '{"folder": 1e999}', "[" * 100_000]
)
def test_any_place_is_one_to_begin_at(tmp_path: Path, text: str) -> None:
    (tmp_path / "audit.json").write_text(text)
    auditor = Auditor()
    Auditing(tmp_path, auditor).audit.step()
    assert len(auditor.seen) == 3
    assert all(0 <= number < FOLDERS for number in auditor.seen)


def test_what_cannot_be_healed_stops_nothing(tmp_path: Path) -> None:
    auditor = Auditor(lost=3)
    auditor.error = OriginReset()
    Auditing(tmp_path, auditor).audit.step()
    assert len(auditor.repaired) == 3
    assert auditor.seen


def test_after_sigterm_the_repair_under_way_is_the_last(tmp_path: Path) -> None:
    auditor = Auditor(lost=3)
    auditing = Auditing(tmp_path, auditor)
    auditor.during = auditing.stop
    auditing.audit.step()
    assert len(auditor.repaired) == 1


def test_after_sigterm_the_folder_under_way_is_looked_at_again(tmp_path: Path) -> None:
    auditor = Auditor()
    auditing = Auditing(tmp_path, auditor)

    def stop_at_the_second() -> None:
        if len(auditor.seen) == 2:
            auditing.stop()

    auditor.during = stop_at_the_second
    auditing.audit.step()
    assert auditor.seen == [0, 1]
    assert auditing.place() == Place(1)


def test_one_node_audits_a_shared_storage(tmp_path: Path) -> None:
    first, second = Auditor(), Auditor()
    other = Auditing(tmp_path, second)
    first.during = other.audit.step
    Auditing(tmp_path, first).audit.step()
    assert first.seen
    assert second.seen == []
