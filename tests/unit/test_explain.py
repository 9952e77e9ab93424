"""What `explain` says of a picture, from what lies on the disk and in the tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from image_cloud.config.sections import Failures as Settings
from image_cloud.errors import CorruptImage, OriginNotFound
from image_cloud.explain.disk import on_disk
from image_cloud.explain.here import differences, together
from image_cloud.explain.log_lines import MOST_LINES, lines_about
from image_cloud.picture.record import Record, Tombstone
from image_cloud.picture.url import Url
from image_cloud.storage.failures import RESIZE, Failures
from image_cloud.storage.store import Store
from tests.cloning import keep

URL = Url.parse("http://shop.example/a.jpg")
RECORD = Record(URL.key, URL.text, URL.host, "jpeg", 1, 1, 3, "0" * 64, 10.0, "origin")
NOW = 1000.0
HEALTHY = {"domain": "shop.example", "state": "healthy", "slots": {"used": 0, "allowed": 8}}
NO_ROWS: dict[str, Any] = {
    "catalogue": None,
    "prefetch": None,
    "clone": None,
    "prefetch_failures": [],
}
ROW = {**vars(RECORD), "deleted_at": None, "blocked": False}
WAITING = {"is_under_way": False, "ready": True, "before_it": 17}


@pytest.fixture
def failures(store: Store) -> Failures:
    return Failures(store.root, Settings(), lambda: NOW)


def told(store: Store, failures: Failures, **rows: Any) -> dict[str, Any]:
    facts = on_disk(store, failures, URL.key) | {"at": NOW, "domain": HEALTHY}
    return together(facts, NO_ROWS | rows)


def test_a_picture_that_is_here(store: Store, failures: Failures) -> None:
    keep(store, RECORD)
    original = store.originals.find(URL.key)
    assert original
    store.variants.keep(original.stem, {"200x200-fit-q85.jpg": b"small"})
    said = told(store, failures, catalogue=ROW)
    assert said["verdict"] == "here, with 1 variants"
    assert said["original"]["file"] == original.relative
    assert [(one["name"], one["bytes"]) for one in said["variants"]] == [("200x200-fit-q85.jpg", 5)]
    failures.remember(URL.key, CorruptImage("damaged"), RESIZE)
    assert "cannot be resized: damaged" in told(store, failures, catalogue=ROW)["verdict"]


@pytest.mark.parametrize("fact", ["sha256", "bytes", "format", "width", "stored_at", "url"])
def test_a_row_that_says_something_else(fact: str, store: Store, failures: Failures) -> None:
    keep(store, RECORD)
    wrong = ROW | {fact: 7 if fact != "url" else "http://other.example/"}
    assert told(store, failures, catalogue=wrong)["differences"] == [fact]
    assert f"differ: {fact}" in told(store, failures, catalogue=wrong)["verdict"]


@pytest.mark.parametrize(
    ("record", "row", "unrecorded", "expected"),
    [
        (vars(RECORD), None, False, ["catalogue"]),
        (vars(RECORD), None, True, []),
        (None, ROW, False, ["record"]),
        (None, ROW | {"deleted_at": 1.0}, False, []),
        (None, None, False, []),
    ],
)
def test_a_record_without_row_and_a_row_without_record(
    record: Any, row: Any, unrecorded: bool, expected: list[str]
) -> None:
    facts = {"record": record, "catalogue": row, "unrecorded": unrecorded}
    assert differences(facts) == expected


def test_why_a_picture_is_not_here(store: Store, failures: Failures) -> None:
    assert "nobody has asked" in told(store, failures)["verdict"]
    assert "17 URLs" in told(store, failures, prefetch=WAITING)["verdict"]
    under_way = WAITING | {"is_under_way": True}
    assert "being fetched" in told(store, failures, prefetch=under_way)["verdict"]
    failed = WAITING | {
        "ready": False,
        "tries": 3,
        "last_code": "origin_timeout",
        "next_at": 2000.0,
    }
    assert "failed 3 times (origin_timeout)" in told(store, failures, prefetch=failed)["verdict"]
    assert "cloned from ic02" in told(store, failures, clone={"peer": "ic02"})["verdict"]
    failures.remember(URL.key, OriginNotFound("the origin answered 404"))
    assert "the origin answered 404 (origin_not_found)" in told(store, failures)["verdict"]
    store.tombstones.write(Tombstone(URL.key, URL.text, NOW, blocked=True))
    assert told(store, failures)["verdict"].startswith("blocked since 1970-01-01T00:16:40")


@pytest.mark.parametrize(
    ("state", "until", "said"),
    [
        (
            "broken",
            "1970-01-01T00:17:40+00:00",
            "is paused until 1970-01-01T00:17:40+00:00: silent",
        ),
        ("paused", "1970-01-01T00:16:00+00:00", "nobody has asked"),
        ("failing", None, "nobody has asked"),
    ],
)
def test_a_domain_in_trouble(
    state: str, until: str | None, said: str, store: Store, failures: Failures
) -> None:
    trouble = {"state": state, "next_try_interactive": until, "why": {"detail": "silent"}}
    facts = on_disk(store, failures, URL.key) | {"at": NOW, "domain": HEALTHY | trouble}
    assert said in together(facts, NO_ROWS)["verdict"]


def test_a_database_that_is_away(store: Store, failures: Failures) -> None:
    keep(store, RECORD)
    facts = on_disk(store, failures, URL.key) | {"at": NOW, "domain": HEALTHY}
    said = together(facts, None, "the database is away")
    assert (said["database"], said["differences"]) == ("the database is away", [])
    assert said["verdict"].startswith("here")


@pytest.mark.parametrize(
    "form",
    [
        "time={time} level=INFO event=x key={key} from={name}\n",
        '{{"time": "{time}", "level": "INFO", "event": "x", "key": "{key}", "from": "{name}"}}\n',
    ],
)
def test_lines_of_the_logs(form: str, tmp_path: Path) -> None:
    assert lines_about(tmp_path, URL.key) == []
    other = form.format(time="2026-01-01T00:00:00.000", key="0" * 64, name="other")
    for name in ("fetch", "prefetch"):
        lines = [
            form.format(time=f"2026-01-0{n}T00:00:00.000", key=URL.key, name=name)
            for n in range(1, 9)
        ]
        path = tmp_path / f"image-cloud-{name}.log"
        path.write_text(other.join(lines[7:]))
        path.with_name(path.name + ".1").write_text(other.join(lines[:7]))
    (tmp_path / "image-cloud-front.log").mkdir()
    found = lines_about(tmp_path, URL.key)
    assert len(found) == MOST_LINES
    assert found == sorted(found, key=lambda line: line.partition("T")[0])
    assert "2026-01-08" in found[-1]
    assert all(URL.key in line for line in found)


def test_what_was_wrong_last_time(store: Store) -> None:
    failures = Failures(store.root, Settings(), lambda: 1.0)
    failures.remember(URL.key, OriginNotFound("the origin answered 404"))
    said = together(on_disk(store, failures, URL.key) | {"at": 1e9, "domain": HEALTHY}, NO_ROWS)[
        "verdict"
    ]
    assert said.startswith("not here: last time the origin answered 404 (origin_not_found)")
