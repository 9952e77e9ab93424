"""Pages of the change feed as a follower gets them, with a real PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from falcon.testing import TestClient

from falcon_app.control.changes import ChangesAnswer
from image_cloud.cluster.absence import Freshness
from image_cloud.cluster.clock import ClusterClock
from image_cloud.cluster.epoch import FeedGuard
from image_cloud.cluster.feed_page import MOST_WAITING, REST, FeedPages, Self
from image_cloud.config.sections import Database as Settings
from image_cloud.db import catalog
from image_cloud.db.connect import Database
from image_cloud.db.listen import Listener
from image_cloud.picture.record import Record
from image_cloud.picture.url import Url
from tests.unit.web import client

FILL = """
    INSERT INTO clone_requests (key, url, host, format, bytes, sha256, stored_at, peer)
    SELECT number, 'http://shop.example/', 'shop.example', 'jpeg', 1, '', now(), 'ic01'
    FROM generate_series(1, %(requests)s) AS number
"""


@pytest.fixture
def database(settings: Settings) -> Database:
    return Database(settings)


class Waits(Listener):
    """Counts who waits for news."""

    waited = 0

    def wait(self, mark: int, timeout_s: float) -> None:
        self.waited += 1
        super().wait(mark, timeout_s)


@pytest.fixture
def listener(settings: Settings) -> Iterator[Waits]:
    listener = Waits(settings)
    listener.start()
    yield listener
    listener.stop()


class Seconds:
    """A clock on which whatever is timed takes a second."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def web(database: Database, listener: Waits, tmp_path: Path, seconds: Seconds) -> TestClient:
    (tmp_path / "cluster").mkdir()
    pages = FeedPages(
        database,
        listener,
        FeedGuard(tmp_path / "cluster" / "feed.json", database),
        ClusterClock(tmp_path / "cluster" / "clock.json"),
        Freshness(tmp_path, 90),
        Self("ic00", accepts_deletes=True),
        seconds,
    )
    return client({"/_changes": ChangesAnswer(pages)})


def store(database: Database, *numbers: int) -> list[str]:
    urls = [Url.parse(f"http://shop.example/{number}.jpg") for number in numbers]
    with database.transaction() as cursor:
        catalog.upsert(
            cursor,
            [
                Record(
                    url.key, url.text, url.host, "jpeg", 1, 1, 3, "a" * 64, 1000.0, "origin"
                )
                for url in urls
            ],
        )  # fmt: skip
    return [url.key for url in urls]


def ask(web: TestClient, **parameters: Any) -> dict[str, Any]:
    answer = web.simulate_get("/_changes", params={"limit": 10, "wait": 0, **parameters})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    page: dict[str, Any] = answer.json
    return page


def keys(page: dict[str, Any]) -> list[str]:
    return [change["key"] for change in page["changes"]]


def test_pages_follow_each_other_without_loss(web: TestClient, database: Database) -> None:
    stored = store(database, *range(5))
    first = ask(web, limit=3)
    second = ask(web, limit=3, cursor=first["cursor"])
    assert sorted(keys(first) + keys(second)) == sorted(stored)
    assert (first["more"], second["more"]) == (True, False)
    assert (first["node"], first["accepts_deletes"], first["backlog"]) == ("ic00", True, 0)
    assert keys(ask(web, cursor=second["cursor"])) == []


def test_a_page_without_limit_tells_the_state_at_once(
    web: TestClient, database: Database, listener: Waits
) -> None:
    store(database, 1)
    page = ask(web, limit=0, wait=1)
    assert (keys(page), page["more"], listener.waited) == ([], False, 0)


def test_one_key(web: TestClient, database: Database) -> None:
    first, _ = store(database, 1, 2)
    assert keys(ask(web, key=first)) == [first]
    assert keys(ask(web, key="0" * 64)) == []


def test_a_cursor_of_another_epoch_begins_anew(web: TestClient, database: Database) -> None:
    stored = store(database, 1)
    ahead = ask(web, limit=0)["epoch"] + f".{2**60}.1"
    for cursor in ("00000000-0000-0000-0000-000000000000.5.5", ahead):
        assert keys(ask(web, cursor=cursor)) == stored


def test_news_end_the_wait(web: TestClient, database: Database) -> None:
    cursor, pages = ask(web)["cursor"], list[dict[str, Any]]()
    waiting = threading.Thread(target=lambda: pages.append(ask(web, cursor=cursor, wait=30)))
    began = time.monotonic()
    waiting.start()
    stored = store(database, 1)
    waiting.join(60)
    assert [keys(page) for page in pages] == [stored]
    assert time.monotonic() - began < 20


def test_more_followers_than_may_wait_are_answered_at_once(
    web: TestClient, database: Database
) -> None:
    cursor, pages = ask(web)["cursor"], list[dict[str, Any]]()
    threads = [
        threading.Thread(target=lambda: pages.append(ask(web, cursor=cursor, wait=30)))
        for _ in range(MOST_WAITING + 3)
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 20
    while len(pages) < 3 and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert [keys(page) for page in pages] == [[], [], []]
    stored = store(database, 1)
    for thread in threads:
        thread.join(60)
    assert [keys(page) for page in pages[3:]] == [stored] * MOST_WAITING


def test_a_replaced_database_is_not_read(web: TestClient, tmp_path: Path) -> None:
    (tmp_path / "cluster" / "feed.json").write_text('{"epoch": "another", "xid": 1}')
    answer = web.simulate_get("/_changes")
    assert (answer.status_code, answer.json["code"]) == (503, "resynchronising")


def test_a_long_backlog_is_not_counted_for_each_page(
    web: TestClient, database: Database, seconds: Seconds
) -> None:
    def backlog_with(requests: int) -> int:
        with database.transaction() as cursor:
            cursor.execute("TRUNCATE clone_requests")
            cursor.execute(FILL, {"requests": requests})
        return int(ask(web, limit=0)["backlog"])

    assert [backlog_with(count) for count in (0, 2, 3)] == [0, 2, 2]  # counting takes a second
    seconds.now += REST
    assert [backlog_with(count) for count in (0, 1)] == [0, 1]  # that there is none is never old
