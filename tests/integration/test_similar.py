"""Near-duplicates in a real PostgreSQL: the search against a plain comparison, and what no longer counts."""

from __future__ import annotations

import dataclasses
import random
import re
from pathlib import Path

import pytest

from image_cloud.config.sections import Failures as FailureSettings
from image_cloud.config.sections import Resize
from image_cloud.db import catalog, hashes
from image_cloud.db.connect import Database
from image_cloud.decoding.client import Decoder
from image_cloud.decoding.facts import FactsMaker
from image_cloud.errors import Busy, DatabaseUnavailable
from image_cloud.fetch.flights import Flights
from image_cloud.picture.dhash import MOST_WITHIN, Hash, code_of
from image_cloud.picture.facts import Facts
from image_cloud.picture.record import Record, Tombstone
from image_cloud.picture.url import Url
from image_cloud.similar.filling import Filling
from image_cloud.similar.request import SimilarRequest
from image_cloud.similar.search import Similar
from image_cloud.similar.summary import summary
from image_cloud.storage.failures import Failures
from image_cloud.storage.recorder import Recorder
from image_cloud.storage.store import Store
from tests.node import AWAY
from tests.storage import keep, new_store
from tests.unit.test_resize_facts import pattern, reference, saved

CENTRE = 0x0123456789ABCDEF


def record(number: int, sha256: str | None = None) -> Record:
    url = Url.parse(f"http://shop.example/{number}.jpg")
    return Record(
        url.key, url.text, url.host, "jpeg", 40, 30, 1000, sha256 or f"{number:064x}"[::-1], 10.0, "origin"
    )  # fmt: skip


def store_all(database: Database, found: dict[int, str]) -> list[Record]:
    """Put pictures with these hashes into the catalogue."""
    records = [record(number) for number in found]
    with database.transaction() as cursor:
        catalog.upsert(cursor, records)
        hashes.put(
            cursor, [Hash(record(n).key, record(n).sha256, dhash) for n, dhash in found.items()]
        )
    return records


def asked(dhash: str, within: int = 6, limit: int = 1000, but_key: str = "") -> SimilarRequest:
    return SimilarRequest(None, dhash, within, limit, but_key)


def urls(database: Database, request: SimilarRequest) -> list[tuple[int, str]]:
    found = Similar(database).search(request)["pictures"]
    return [(one["distance"], one["url"]) for one in found]


def flipped(bits: int, count: int, choice: random.Random) -> int:
    for bit in choice.sample(range(64), count):
        bits ^= 1 << bit
    return bits


def crowd(choice: random.Random) -> dict[int, str]:
    """Return hashes at all distances from CENTRE, and at random."""
    near = [flipped(CENTRE, distance, choice) for distance in range(20) for _ in range(5)]
    others = [choice.getrandbits(64) for _ in range(300)]
    return {number: f"{bits:016x}" for number, bits in enumerate([*near, *others])}


@pytest.mark.parametrize("within", [0, 1, 3, 4, 6, 7, 8, 11, MOST_WITHIN])
def test_the_search_is_a_comparison_with_all(database: Database, within: int) -> None:
    known = crowd(random.Random(within))
    store_all(database, known)
    distances = {n: (int(one, 16) ^ CENTRE).bit_count() for n, one in known.items()}
    wanted = [(distances[n], record(n)) for n in known if distances[n] <= within]
    wanted.sort(key=lambda one: (one[0], one[1].key))
    found = Similar(database).search(asked(f"{CENTRE:016x}", within))
    assert [(one["distance"], one["url"]) for one in found["pictures"]] == [
        (distance, one.url) for distance, one in wanted
    ]
    assert all(one["dhash"] in known.values() for one in found["pictures"])
    assert (found["is_all"], found["dhash"], found["within"]) == (True, f"{CENTRE:016x}", within)


def test_the_most_similar_ones_of_many(database: Database) -> None:
    known = crowd(random.Random(1))
    store_all(database, known)
    all_of_them = urls(database, asked(f"{CENTRE:016x}", 8))
    some = Similar(database).search(asked(f"{CENTRE:016x}", 8, limit=12))
    assert [(one["distance"], one["url"]) for one in some["pictures"]][:10] == all_of_them[:10]
    assert not some["is_all"]
    assert len(some["pictures"]) == 12


def test_pictures_that_are_alike(database: Database) -> None:
    records = store_all(database, dict.fromkeys(range(30), "0" * 16))
    found = Similar(database).search(asked("0" * 16, 0, 10, but_key=records[0].key))
    assert len(found["pictures"]) == 10
    assert records[0].key not in [one["key"] for one in found["pictures"]]
    assert not found["is_all"]
    assert Similar(database).search(asked("0" * 16, 0, 29, records[0].key))["is_all"]


def test_a_hash_counts_for_its_version_alone(database: Database) -> None:
    [old] = store_all(database, {1: "0" * 16})
    newer = dataclasses.replace(old, sha256="f" * 64, stored_at=20.0)
    with database.transaction() as cursor:
        catalog.upsert(cursor, [newer])
    assert not urls(database, asked("0" * 16))
    with database.transaction() as cursor:
        assert hashes.lacking(cursor, "", 10) == [newer]
        hashes.put(cursor, [Hash(newer.key, newer.sha256, "0" * 15 + "1")])
    assert urls(database, asked("0" * 16)) == [(1, newer.url)]


def test_a_delete_takes_the_hash_along(database: Database) -> None:
    gone, stays = store_all(database, {1: "0" * 16, 2: "0" * 16})
    with database.transaction() as cursor:
        older = Tombstone(stays.key, stays.url, 5.0)
        catalog.bury(cursor, [Tombstone(gone.key, gone.url, 30.0), older], 40.0)
        cursor.execute("SELECT key FROM hashes")
        assert cursor.fetchall() == [(stays.key,)]
    assert urls(database, asked("0" * 16)) == [(0, stays.url)]


def test_the_search_reads_nothing_but_indexes(database: Database) -> None:
    store_all(database, crowd(random.Random(2)))
    with database.transaction() as cursor:
        hashes.codes_near(cursor, code_of(f"{CENTRE:016x}"), 6, 100)
        statement = (cursor.query or b"").decode()
        cursor.execute(f"EXPLAIN {statement}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert len(re.findall(r"Index Only Scan using hashes_code", plan)) == 4, plan
    assert "Seq Scan" not in plan


def test_the_recorder_takes_hashes(database: Database, tmp_path: Path) -> None:
    recorder = Recorder(new_store(tmp_path / "storage"), database)
    [known] = store_all(database, {1: "f" * 16})
    recorder.add(Hash(known.key, known.sha256, "0" * 16))
    assert recorder.step()
    assert urls(database, asked("0" * 16)) == [(0, known.url)]


def test_without_a_database() -> None:
    with pytest.raises(DatabaseUnavailable):
        Similar(Database(AWAY)).search(asked("0" * 16))


def test_a_summary(database: Database) -> None:
    choice = random.Random(3)
    alone = [choice.getrandbits(64) for _ in range(20)]
    pair = [CENTRE, flipped(CENTRE, 3, choice)]
    known = [*alone, *pair, CENTRE, 0, 1, 3]
    store_all(database, {number: f"{bits:016x}" for number, bits in enumerate(known)})
    with database.transaction() as cursor:
        catalog.upsert(
            cursor, [record(100, "e" * 64), record(101, "e" * 64), record(102, "e" * 64)]
        )
    heard: list[bool] = []
    told = summary(database, 6, 1000, lambda: heard.append(True))
    assert told == {
        "pictures": 29, "hashes": 26, "plain": 3, "same_bytes": {"pictures": 3, "spare": 2},
        "same_hash": {"pictures": 2, "spare": 1},
        "similar": {"within": 6, "sample": 23, "share": round(3 / 23, 4), "margin": 0.1376},
    }  # fmt: skip
    assert len(heard) == 23
    assert summary(database, 6, 5, lambda: None)["similar"]["sample"] == 5


def test_a_summary_of_nothing(database: Database) -> None:
    told = summary(database, 6, 10, lambda: None)
    assert (told["pictures"], told["similar"]["share"]) == (0, 0.0)


# --- filling -------------------------------------------------------------------------------------


def maker(store: Store, path: str) -> FactsMaker:
    turns: Flights[Facts] = Flights(store.root / "incoming" / ".decoding", 20.0)
    failures = Failures(store.root, FailureSettings())
    return FactsMaker(store, failures, Decoder(path, 20.0), turns, Resize())


def stored(store: Store, database: Database, contents: list[bytes]) -> list[Record]:
    records = [
        dataclasses.replace(record(number), bytes=len(content))
        for number, content in enumerate(contents)
    ]
    for one, content in zip(records, contents, strict=True):
        keep(store, one, content)
    with database.transaction() as cursor:
        catalog.upsert(cursor, records)
    return records


def test_filling(database: Database, tmp_path: Path, decoder: str) -> None:
    store = new_store(tmp_path / "storage")
    pictures = [pattern(seed=seed) for seed in (1, 2, 3)]
    contents = [*(saved(one, "JPEG") for one in pictures), b"\xff\xd8\xff no picture"]
    records = stored(store, database, contents)
    with database.transaction() as cursor:
        catalog.upsert(cursor, [record(99)])  # not on disk
    heard: list[bool] = []
    filling = Filling(store, database, maker(store, decoder), 2, lambda: heard.append(True))
    made, failed = filling.fill()
    assert (made, sum(failed.values()), failed["not_here"]) == (3, 2, 1)
    assert len(heard) == 5
    shown = saved(pictures[0], "PNG")
    assert urls(database, asked(reference(pictures[0]), 6))[0][1] == records[0].url, shown
    assert store.variants.facts(records[0].key) is None, "millions of small files help nobody"
    assert filling.fill()[0] == 0
    with database.transaction() as cursor:
        assert hashes.count_lacking(cursor) == 2


def test_filling_waits_for_a_decoder_that_is_busy(database: Database, tmp_path: Path) -> None:
    store = new_store(tmp_path / "storage")
    stored(store, database, [saved(pattern(), "JPEG")])
    waits: list[float] = []
    away = maker(store, str(tmp_path / "nothing"))
    with pytest.raises(Busy):
        Filling(store, database, away, 1, lambda: None, waits.append).fill()
    assert len(waits) > 10
