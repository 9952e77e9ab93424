"""/fire_and_forget as the control pool answers it, with a real PostgreSQL."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from falcon.testing import TestClient

from falcon_app.control.batches import FireAndForget
from image_cloud.cluster.clock import ClusterClock
from image_cloud.config.sections import Database as Settings
from image_cloud.config.sections import Download, Prefetch, Resize
from image_cloud.config.sections import Failures as Memory
from image_cloud.db.connect import Database
from image_cloud.db.prefetch import outcomes, queue
from image_cloud.db.prefetch.outcomes import Outcome
from image_cloud.errors import RequestTooLarge
from image_cloud.origin import Origin
from image_cloud.picture.url import Url
from image_cloud.politeness.limits import LimitsFile
from image_cloud.prefetch.batches import Batches
from image_cloud.prefetch.body import MAX_BYTES, Body
from image_cloud.prefetch.intake import Intake
from image_cloud.prefetch.sorter import Sorter
from image_cloud.storage.failures import Failures
from tests.storage import new_store
from tests.unit.web import client

PATH = "/fire_and_forget"
A, B = "http://shop.example/a.jpg", "http://other.example:81/b.jpg"


class Endless:
    """A body that never ends; counts what was read."""

    def __init__(self) -> None:
        self.count = 0

    def read(self, size: int = -1, /) -> bytes:
        self.count += size
        return b" " * size


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = Database(settings)
    yield opened
    opened.close()


@pytest.fixture
def intake(database: Database, tmp_path: Path) -> Intake:
    limits = LimitsFile(tmp_path / "max_downloads.json", tmp_path / "last_good")
    (tmp_path / "max_downloads.json").write_text('{"example": 3}')
    origin = Origin(Download())
    sorter = Sorter(new_store(tmp_path / "storage"), origin, limits, Resize())
    clock = ClusterClock(tmp_path / "clock.json")
    return Intake(
        sorter, origin, database, clock, (200, 250), Prefetch(max_bodies=1, body_wait=0.1)
    )


@pytest.fixture
def web(intake: Intake, database: Database, tmp_path: Path) -> TestClient:
    limits = LimitsFile(tmp_path / "max_downloads.json", tmp_path / "last_good")
    failures = Failures(tmp_path / "storage", Memory())
    batches = Batches(database, ClusterClock(tmp_path / "clock.json"), limits, failures)
    return client({PATH: FireAndForget(intake, batches)}, scopes=("prefetch",))


def post(web: TestClient, *urls: str, **more: Any) -> dict[str, Any]:
    answer = web.simulate_post(PATH, body=json.dumps({"urls": urls, **more}))
    assert (answer.status_code, answer.headers["Cache-Control"]) == (202, "no-store")
    taken: dict[str, Any] = answer.json
    return taken


def progress(web: TestClient, batch: str, **more: Any) -> dict[str, Any]:
    answer = web.simulate_get(PATH, params={"batch": batch, **more})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    state: dict[str, Any] = answer.json
    return state


def test_each_url_is_sorted_by_itself(web: TestClient, database: Database) -> None:
    bad = ["nonsense", "ftp://a/", "http://10.0.0.1/", "http://a.example/\ud800"]
    taken = post(web, A, B, A, *bad, thumbnails=[200], priority=3)
    assert (taken["accepted"], taken["duplicates"], taken["already_cached"]) == (2, 1, 0)
    assert [(one["url"], one["code"]) for one in taken["rejected"]] == [
        ("nonsense", "bad_parameter"), ("ftp://a/", "url_forbidden"),
        ("http://10.0.0.1/", "url_forbidden"), ("http://a.example/\ud800", "bad_parameter"),
    ]  # fmt: skip
    with database.transaction() as cursor:
        assert sorted(queue.all_domains(cursor)) == ["example", "example/81"]
    state = progress(web, taken["batch"])
    assert (state["total"], state["waiting"], state["priority"]) == (2, 2, 3)
    assert (state["thumbnails"], state["rejected"], state["finished_at"]) == ([200], 4, None)


def test_what_waits_already_is_a_duplicate(web: TestClient) -> None:
    post(web, A)
    taken = post(web, A, B)
    assert (taken["accepted"], taken["duplicates"]) == (1, 1)


def test_failures_are_listed(web: TestClient, database: Database) -> None:
    batch = post(web, A)["batch"]
    outcome = Outcome(
        Url.parse(A).key, A, code="origin_not_found", detail="the origin answered 404"
    )
    with database.transaction() as cursor:
        outcomes.settle(cursor, [outcome])
    state = progress(web, batch, list_failures="true")
    assert (state["failed"], state["failures"]) == (1, {"origin_not_found": 1})
    assert state["failed_urls"] == [
        {"url": A, "code": "origin_not_found", "detail": "the origin answered 404"}
    ]
    assert state["failed_after"] is None
    assert progress(web, batch, list_failures=1, after="f" * 64)["failed_urls"] == []


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("limit=0", 400, "bad_parameter"), ("before=x", 400, "bad_parameter"),
        ("batch=", 404, "batch_unknown"),
        ("batch=x", 404, "batch_unknown"),
        ("batch=6b6b1dd9-5c4f-4d4d-a0f5-0123456789ab", 404, "batch_unknown"),
        ("batch=6b6b1dd9-5c4f-4d4d-a0f5-0123456789ab&list_failures=1&after=x", 400, "bad_parameter"),
    ],
)  # fmt: skip
def test_a_bad_question_is_refused(web: TestClient, query: str, status: int, code: str) -> None:
    answer = web.simulate_get(PATH, query_string=query)
    assert (answer.status_code, answer.json["code"]) == (status, code)


def test_a_body_without_a_declared_length_is_bounded() -> None:
    endless = Endless()
    with pytest.raises(RequestTooLarge):
        Body(endless, None).order((200,))
    assert endless.count <= MAX_BYTES + 2**21


def test_a_body_that_declares_too_much_is_not_even_read() -> None:
    endless = Endless()
    with pytest.raises(RequestTooLarge):
        Body(endless, MAX_BYTES + 1).order((200,))
    assert endless.count == 0


def test_one_body_at_a_time(web: TestClient, intake: Intake) -> None:
    reading, over = threading.Event(), threading.Event()

    class Slow:
        def read(self, size: int = -1, /) -> bytes:
            reading.set()
            over.wait(60)
            return b""

    def take() -> None:
        with pytest.raises(Exception, match="JSON object"):
            intake.take(Body(Slow(), None), "a")

    thread = threading.Thread(target=take)
    thread.start()
    assert reading.wait(60)
    answer = web.simulate_post(PATH, body=json.dumps({"urls": [A]}))
    over.set()
    thread.join()
    assert (answer.status_code, answer.json["code"]) == (503, "busy")
    assert post(web, A)["accepted"] == 1
