"""A note that cannot be costs the janitor nothing but itself."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from image_cloud.db import catalog
from image_cloud.node import Node
from image_cloud.picture.record import Tombstone
from image_cloud.picture.url import Url
from image_cloud.storage.recorder import commit_deletes, commit_records
from tests.storage import put

URL = "http://shop.example/a.jpg"
OTHER = Url.parse("http://shop.example/b.jpg")
STONE = {"key": OTHER.key, "url": OTHER.text, "deleted_at": 1000.0, "blocked": False}


@pytest.mark.parametrize(
    "wrong",
    [{"deleted_at": 253402300799.0}, {"deleted_at": 1e300}, {"deleted_at": -1e300}, {"url": "x"},
     {"key": "0" * 64}, {"deleted_at": "NaN"}, {"blocked": None}],
)  # fmt: skip
def test_a_poison_note_of_a_delete_is_set_aside_alone(node: Node, wrong: dict[str, object]) -> None:
    store = node.store
    poison = node.storage / "unrecorded" / f"{OTHER.key}.deleted.json"
    poison.write_text(json.dumps({**STONE, **wrong}))
    url = Url.parse(URL)
    store.bury(Tombstone(url.key, url.text, 1000.0), 2000.0)
    waiting = list(store.tombstones.unrecorded())
    assert [one.key for one in waiting] == [url.key]
    commit_deletes(store, node.database, waiting, 2000.0)
    assert os.listdir(node.storage / "unrecorded") == []
    assert os.listdir(node.storage / "quarantine") == [poison.name]


@pytest.mark.parametrize(
    "wrong",
    [{"stored_at": 253402300799.0}, {"stored_at": 1e300}, {"format": "exe"}, {"bytes": 2**63},
     {"width": 2**40}, {"sha256": "?"}, {"url": OTHER.text}, {"host": 7}, None],
)  # fmt: skip
def test_a_poison_note_of_a_picture_is_set_aside_alone(
    node: Node, wrong: dict[str, object] | None
) -> None:
    store = node.store
    good = put(store, URL, 1000.0)
    content = dataclasses.asdict(good) | {"key": OTHER.key, "url": OTHER.text} | (wrong or {})
    if wrong and wrong.get("url"):
        content["url"] = URL
    poison = node.storage / "unrecorded" / f"{OTHER.key}.json"
    poison.write_text(json.dumps(content) if wrong else "[" * 10_000)
    waiting = [record for _, record in store.records.unrecorded()]
    assert waiting == [good]
    commit_records(store, node.database, waiting)
    with node.database.transaction() as cursor:
        assert catalog.find(cursor, good.key) == good
    assert os.listdir(node.storage / "quarantine") == [poison.name]


def test_a_tombstone_of_an_impossible_time_forbids_nothing(node: Node) -> None:
    path = Path(node.storage, "tombstones", OTHER.key[:2], OTHER.key[2:4], f"{OTHER.key}.json")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({**STONE, "deleted_at": 253402300799.0}))
    assert put(node.store, OTHER.text, 2000.0)
