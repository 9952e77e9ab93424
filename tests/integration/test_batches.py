"""Batches after they were taken in, with PostgreSQL: who sees them, cancelling, retrying, callbacks."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from falcon_app.control.batches import FireAndForget
from image_cloud.config.sections import Database as Settings
from image_cloud.db import clones
from image_cloud.db.connect import Database
from image_cloud.db.prefetch import (
    batches,
    callbacks,
    cancelling,
    intake,
    outcomes,
    queue,
    retrying,
)
from image_cloud.db.prefetch.batches import Progress
from image_cloud.db.prefetch.callbacks import Told
from image_cloud.db.prefetch.intake import NewBatch, Wanted
from image_cloud.db.prefetch.outcomes import Outcome
from image_cloud.db.prefetch.queue import Claimed
from image_cloud.errors import OriginNotFound
from image_cloud.node import Node
from image_cloud.picture.url import Url
from image_cloud.prefetch.batches import Batches
from image_cloud.prefetch.intake import Intake
from image_cloud.prefetch.sorter import Sorter
from tests.node import new_node
from tests.postgres import Cluster
from tests.unit.web import client

PATH = "/fire_and_forget"
ME, OTHER = (
    str(uuid.UUID(int=1)),
    str(uuid.UUID(int=2)),
)  # the same in each process: tests are named by them
RECEIVER = "https://receiver.example/told?secret=hush"


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = Database(settings)
    yield opened
    opened.close()


def post(
    database: Database, *names: str, owner: str = "tests", callback: str | None = None
) -> NewBatch:
    urls = [Url.parse(f"http://shop.example/{name}") for name in names]
    host = "receiver.example" if callback else None
    batch = NewBatch(owner, time.time(), 0, (), len(urls), 0, 0, 0, callback, host)
    with database.transaction() as cursor:
        wanted = [Wanted(url.key, url.text, "shop.example") for url in urls]
        intake.take_in(cursor, batch, wanted)
    return batch


def claim(database: Database, each: int = 100, owner: str = ME) -> list[Claimed]:
    with database.transaction() as cursor:
        domains = queue.whose_turn(cursor, (), 10)
        return queue.claim(cursor, dict.fromkeys(domains, each), owner, 60.0)


def settle(database: Database, *ended: Outcome) -> None:
    with database.transaction() as cursor:
        outcomes.settle(cursor, ended)


def fail(database: Database, claimed: list[Claimed], code: str = "origin_reset") -> None:
    settle(database, *(Outcome(one.key, one.url, code=code, detail="x") for one in claimed))


def cancel(database: Database, batch: NewBatch) -> int:
    with database.transaction() as cursor:
        return cancelling.cancel(cursor, batch.id)


def progress(database: Database, batch: NewBatch) -> Progress:
    with database.transaction() as cursor:
        found = batches.progress(cursor, batch.id)
    assert found
    assert found.waiting >= 0
    return found


def counts(database: Database, batch: NewBatch) -> tuple[int, int, int, int]:
    now = progress(database, batch)
    return now.done, now.failed, now.cancelled, now.waiting


def left(database: Database) -> int:
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM prefetch_requests) + count(*) FROM prefetch_followers"
        )
        return int(cursor.fetchone()[0])  # type: ignore[index]


# --- cancelling ----------------------------------------------------------------------------------


def test_what_waits_is_cancelled_and_what_is_under_way_counts(database: Database) -> None:
    batch = post(database, "1", "2", "3", "4")
    under_way = claim(database, each=2)
    assert cancel(database, batch) == 2
    assert counts(database, batch) == (0, 0, 2, 2)
    assert progress(database, batch).finished_at is None
    settle(database, Outcome(under_way[0].key, under_way[0].url))
    fail(database, under_way[1:])
    assert counts(database, batch) == (1, 1, 2, 0)
    assert progress(database, batch).finished_at
    assert cancel(database, batch) == 0
    assert left(database) == 0


def test_a_batch_that_is_not_begun_ends_at_once(database: Database) -> None:
    batch = post(database, "1", "2")
    assert (cancel(database, batch), cancel(database, batch)) == (2, 0)
    assert progress(database, batch).finished_at
    assert claim(database) == []


def test_urls_that_others_want_go_on_for_them(database: Database) -> None:
    first, second, third = (post(database, *names) for names in (("1", "2"), ("2", "3"), ("2",)))
    assert cancel(database, first) == 2
    assert cancel(database, third) == 1
    claimed = claim(database)
    assert sorted(one.url[-1] for one in claimed) == ["2", "3"]
    assert {one.batches for one in claimed} == {(str(second.id),)}
    settle(database, *(Outcome(one.key, one.url) for one in claimed))
    assert [counts(database, one) for one in (first, second, third)] == [
        (0, 0, 2, 0), (2, 0, 0, 0), (0, 0, 1, 0),
    ]  # fmt: skip
    assert left(database) == 0


def test_a_cancelled_batch_is_not_tried_again(database: Database) -> None:
    batch, other = post(database, "1", "2"), post(database, "2")
    claimed = claim(database)
    assert cancel(database, batch) == 0  # all of it is under way
    again = [Outcome(one.key, one.url, code="busy", wait_s=60.0, tries=1) for one in claimed]
    settle(database, *again)
    assert counts(database, batch) == (0, 0, 2, 0)
    assert progress(database, batch).finished_at
    assert counts(database, other) == (0, 0, 0, 1)
    assert left(database) == 1


@pytest.mark.parametrize("way", ["released", "expired"])
def test_what_a_dead_daemon_held_is_cancelled(way: str, database: Database) -> None:
    batch = post(database, "1", "2")
    claim(database)
    cancel(database, batch)
    with database.transaction() as cursor:
        if way == "released":
            queue.release(cursor, ME)
        else:
            cursor.execute("UPDATE prefetch_requests SET next_at = now()")
    with database.transaction() as cursor:
        queue.promote(cursor, 10)
    assert counts(database, batch) == (0, 0, 2, 0)
    assert progress(database, batch).finished_at
    assert left(database) == 0


def test_a_url_under_way_can_be_asked_for_anew(database: Database) -> None:
    batch = post(database, "1")
    (one,) = claim(database)
    cancel(database, batch)
    again = post(database, "1")
    settle(database, Outcome(one.key, one.url))
    assert counts(database, batch) == counts(database, again) == (1, 0, 0, 0)


# --- retrying ------------------------------------------------------------------------------------


def retry(database: Database, batch: NewBatch) -> int:
    with database.transaction() as cursor:
        failures = retrying.take_failures(cursor, batch.id)
        wanted = [Wanted(key, url, "shop.example") for key, url, _ in failures]
        if failures:
            retrying.requeue(cursor, batch.id, wanted, [one.code for one in failures], time.time())
    return len(failures)


def test_failures_are_queued_again_and_the_batch_ends_once_more(database: Database) -> None:
    batch = post(database, "1", "2", "3")
    one, two, three = claim(database)
    settle(database, Outcome(one.key, one.url))
    fail(database, [two, three])
    assert progress(database, batch).failures == {"origin_reset": 2}
    assert (retry(database, batch), retry(database, batch)) == (2, 0)
    reopened = progress(database, batch)
    assert (reopened.failures, reopened.finished_at) == ({}, None)
    assert counts(database, batch) == (1, 0, 0, 2)
    again = claim(database)
    assert {(one.url, one.tries) for one in again} == {(two.url, 0), (three.url, 0)}
    fail(database, again[:1], "blocked")
    settle(database, Outcome(again[1].key, again[1].url))
    assert counts(database, batch) == (2, 1, 0, 0)
    assert progress(database, batch).failures == {"blocked": 1}


def test_a_retry_leaves_the_failures_that_come_meanwhile(database: Database) -> None:
    batch = post(database, "1", "2")
    one, two = claim(database)
    fail(database, [one])
    assert retry(database, batch) == 1
    fail(database, [two])
    assert progress(database, batch).failures == {"origin_reset": 1}
    assert counts(database, batch) == (0, 1, 0, 1)


def test_a_retry_asks_later_than_a_delete(database: Database) -> None:
    batch = post(database, "1")
    (one,) = claim(database)
    fail(database, [one], "deleted_meanwhile")
    deleted_at = time.time()
    retry(database, batch)
    (again,) = claim(database)
    assert one.asked_at < deleted_at < again.asked_at


def test_a_cancelled_batch_goes_on_with_its_failures(database: Database) -> None:
    batch = post(database, "1", "2")
    (one,) = claim(database, each=1)
    fail(database, [one])
    cancel(database, batch)
    assert retry(database, batch) == 1
    (again,) = claim(database)
    settle(database, Outcome(again.key, again.url, code="busy", wait_s=60.0))
    assert counts(database, batch) == (0, 0, 1, 1)  # it waits for another try


# --- callbacks -----------------------------------------------------------------------------------


def due(database: Database, *busy: str) -> callbacks.Due | None:
    with database.transaction() as cursor:
        return callbacks.claim(cursor, busy, 60.0)


def told(database: Database, what: Told) -> None:
    with database.transaction() as cursor:
        callbacks.settle(cursor, what)


def make_due(database: Database) -> None:
    with database.transaction() as cursor:
        cursor.execute("UPDATE prefetch_batches SET callback_at = now()")


def test_a_callback_is_due_when_the_batch_has_ended(database: Database) -> None:
    batch = post(database, "1", callback=RECEIVER)
    post(database, "2")
    assert due(database) is None
    fail(database, claim(database))
    assert due(database, "receiver.example") is None
    first = due(database, "other.example")
    assert first
    assert (first.batch, first.client, first.url, first.tries) == (
        str(batch.id),
        "tests",
        RECEIVER,
        1,
    )
    assert "secret" not in repr(first)
    assert due(database) is None  # claimed
    told(database, Told(first, "http_500", 3600.0))
    assert due(database) is None  # not yet
    make_due(database)
    second = due(database)
    assert second
    assert second.tries == 2
    told(database, Told(second))
    make_due(database)
    assert due(database) is None
    assert progress(database, batch).callback_over


def test_the_end_of_a_retried_batch_is_told_anew(database: Database) -> None:
    batch = post(database, "1", callback=RECEIVER)
    fail(database, claim(database))
    first = due(database)
    assert first
    retry(database, batch)
    told(database, Told(first))  # of the end before
    fail(database, claim(database))
    again = due(database)
    assert again
    assert again.tries == 1


def test_the_end_of_a_cancelled_and_of_an_empty_batch_is_told(database: Database) -> None:
    cancelled, empty = post(database, "1", callback=RECEIVER), post(database, callback=RECEIVER)
    cancel(database, cancelled)
    assert {one.batch for one in (due(database), due(database)) if one} == {
        str(cancelled.id), str(empty.id),
    }  # fmt: skip


def test_a_batch_is_kept_until_its_end_is_told(database: Database) -> None:
    post(database, callback=RECEIVER)
    one = due(database)
    assert one
    with database.transaction() as cursor:
        cursor.execute(
            "UPDATE prefetch_batches SET finished_at = now() - interval '3 d' RETURNING finished_at"
        )
        assert batches.forget_old(cursor, 86400.0) == 0
        cursor.execute("UPDATE prefetch_batches SET callback_over = true")
        assert batches.forget_old(cursor, 86400.0) == 1


# --- over HTTP -----------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Any, settings: Settings) -> Iterator[Node]:
    node = new_node(tmp_path, database=settings)
    yield node
    node.database.close()


class Web:
    """Asks as the client `tests`, or as an operator."""

    def __init__(self, node: Node) -> None:
        config = node.config
        sorter = Sorter(node.store, node.origin, node.limits, config.resize)
        intake = Intake(sorter, node.origin, node.database, node.clock, (200,), config.prefetch)
        batches = Batches(node.database, node.clock, node.limits, node.failures)
        self._resource = {PATH: FireAndForget(intake, batches)}

    def ask(self, method: str, *scopes: str, **more: Any) -> Any:
        return client(self._resource, scopes or ("prefetch",)).simulate_request(
            method, PATH, **more
        )

    def page(self, *scopes: str, **parameters: Any) -> Any:
        answer = self.ask("GET", *scopes, params=parameters)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
        return answer.json


@pytest.fixture
def web(own: Node) -> Web:
    return Web(own)


def test_a_client_lists_its_batches_and_an_operator_all(own: Node, web: Web) -> None:
    mine = [str(post(own.database, f"m{number}").id) for number in range(3)]
    others = str(post(own.database, "o", owner="somebody").id)
    listed = web.page()
    assert [one["batch"] for one in listed["batches"]] == mine[::-1]
    assert listed["batches_before"] is None
    assert (listed["batches"][0]["state"], listed["batches"][0]["waiting"]) == ("running", 1)
    every = web.page("ops")["batches"]
    assert [one["batch"] for one in every] == [others, *mine[::-1]]
    assert every[0]["client"] == "somebody"
    first = web.page(limit=2)
    second = web.page(limit=2, before=first["batches_before"])
    assert [one["batch"] for one in first["batches"] + second["batches"]] == mine[::-1]


def test_a_batch_of_somebody_else_is_unknown(own: Node, web: Web) -> None:
    batch = post(own.database, "1", owner="somebody")
    one = {"batch": str(batch.id)}
    for method, more in (("GET", {}), ("HEAD", {}), ("DELETE", {}), ("POST", {"retry": "true"})):
        answer = web.ask(method, params=one | more)
        assert answer.status_code == 404
        assert method == "HEAD" or answer.json["code"] == "batch_unknown"
    assert counts(own.database, batch) == (0, 0, 0, 1)
    assert web.page("ops", **one)["waiting"] == 1
    assert web.ask("DELETE", "ops", params=one).json == {**one, "cancelled": 1}
    assert web.ask("POST", "ops", params=one | {"retry": 1}).json == {**one, "queued": 0}


def test_an_operator_hands_no_batch_over(web: Web) -> None:
    assert web.ask("POST", "ops", body='{"urls": []}').json["code"] == "scope_missing"


@pytest.mark.parametrize(
    ("method", "query", "says"),
    [
        ("DELETE", "", "batch: missing"), ("POST", "retry=true", "batch: missing"),
        ("POST", f"batch={ME}", "retry: expected"), ("POST", f"batch={ME}&retry=false", "retry: expected"),
        ("DELETE", f"batch={ME}&batch={ME}", "2 times"), ("POST", f"batch={ME}&retry=yes", "'yes'"),
        ("DELETE", "batch=%ED%A0%80", "UTF-8"),
    ],
)  # fmt: skip
def test_bad_parameters_are_named(web: Web, method: str, query: str, says: str) -> None:
    answer = web.ask(method, query_string=query, body='{"urls": []}')
    assert (answer.status_code, answer.json["code"]) == (400, "bad_parameter")
    assert says in answer.json["detail"]


def test_a_retry_forgets_what_the_node_remembers(own: Node, web: Web) -> None:
    batch = post(own.database, "1")
    (one,) = claim(own.database)
    fail(own.database, [one], "origin_not_found")
    own.failures.remember(one.key, OriginNotFound("the origin answered 404"))
    assert web.ask("POST", params={"batch": str(batch.id), "retry": "true"}).json["queued"] == 1
    assert own.failures.recall(one.key) is None
    assert [again.domain for again in claim(own.database)] == ["shop.example"]


@pytest.mark.parametrize(
    ("callback", "status", "code"),
    [
        ('"nonsense"', 400, "bad_body"), ('"ftp://a/"', 403, "url_forbidden"), ("7", 400, "bad_body"),
        ('""', 400, "bad_body"), ('"http://10.0.0.1/x"', 403, "url_forbidden"),
        ('"http://a/\\ud800"', 400, "bad_body"), (f'"http://a/{"x" * 2000}"', 400, "bad_body"),
        ('"http://u:hush@a/"', 400, "bad_body"),
    ],
)  # fmt: skip
def test_a_callback_that_may_not_be_called_is_refused(
    web: Web, callback: str, status: int, code: str
) -> None:
    answer = web.ask("POST", body=f'{{"urls": [], "callback": {callback}}}')
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert answer.json["detail"].startswith("callback: ")
    assert "hush" not in answer.text


def test_nobody_is_shown_a_callbacks_url(own: Node, web: Web) -> None:
    body = f'{{"urls": ["http://shop.example/1"], "callback": "{RECEIVER}"}}'
    batch = web.ask("POST", body=body).json["batch"]
    for scopes in (("prefetch",), ("ops",)):
        listed, one = web.page(*scopes), web.page(*scopes, batch=batch)
        assert "receiver" not in f"{listed}{one}"
        assert one["callback"] == {"state": "waiting", "tries": 0, "code": None}
    with own.database.transaction() as cursor:
        cursor.execute("SELECT callback, callback_host FROM prefetch_batches")
        assert cursor.fetchone() == (RECEIVER, "receiver.example")


# --- plans ---------------------------------------------------------------------------------------

FILL = """
    INSERT INTO prefetch_batches
        (id, client, priority, thumbnails, total, finished_at, callback, callback_host, callback_over)
    SELECT md5(n::text)::uuid, 'client' || n % 100, 0, '{}', 5,
        CASE WHEN n % 3 > 0 THEN now() END, CASE WHEN n % 10 = 0 THEN 'x' END, 'x', n % 100 > 0
    FROM generate_series(1, 20000) n;
    INSERT INTO prefetch_requests (key, url, domain, batch, turn, priority, thumbnails)
    SELECT md5(n::text), 'http://x/' || n, 'domain' || n % 5000, md5((n % 20000)::text)::uuid, n, 0, '{}'
    FROM generate_series(1, 50000) n;
    INSERT INTO prefetch_followers SELECT key, gen_random_uuid() FROM prefetch_requests;
    INSERT INTO prefetch_failures (batch, key, url, code, detail)
    SELECT batch, key, url, 'blocked', '' FROM prefetch_requests;
    INSERT INTO clone_requests (key, url, host, format, bytes, sha256, stored_at, peer, attempts)
    SELECT md5(n::text), 'http://x/', 'x', 'jpg', 1, '', now(), 'ic01',
        CASE WHEN n % 1000 = 0 THEN 5 ELSE 0 END
    FROM generate_series(1, 20000) n;
    ANALYZE clone_requests, prefetch_requests, prefetch_batches, prefetch_followers, prefetch_failures;
"""


@pytest.fixture(scope="module")
def filled(cluster: Cluster) -> Iterator[Database]:
    database = Database(cluster.new_database())
    with database.transaction() as cursor:
        cursor.execute(FILL)
    yield database
    database.close()


HOT: dict[str, tuple[str, dict[str, Any]]] = {
    "newest": (batches.NEWEST, {"before": 2**63 - 1, "most": 100}),
    "newest_of": (batches.NEWEST_OF, {"client": "client7", "before": 2**63 - 1, "most": 100}),
    "lock": (cancelling.LOCK, {"batch": ME}),
    "unfinished": (cancelling.UNFINISHED, {"batch": ME}),
    "mark": (cancelling.MARK, {"batch": ME}),
    "cancelling": (cancelling.CANCELLING, {}),
    "unfollow": (cancelling.UNFOLLOW, {"keys": ["a", "b"], "batches": [ME, OTHER]}),
    "hand_over": (cancelling.HAND_OVER, {"keys": ["a", "b"], "batches": [ME, OTHER]}),
    "take": (retrying.TAKE, {"batch": ME}),
    "reopen": (retrying.REOPEN, {"batch": ME, "asked_at": 0.0, "count": 1}),
    "callback": (callbacks.CLAIM, {"busy": ["a"], "lease_s": 60}),
    "stuck": (clones.STUCK, {"most": 50}),
    "told": (callbacks.SETTLE, {"batch": ME, "finished_at": "now", "code": "", "wait_s": None}),
}  # fmt: skip


@pytest.mark.parametrize("name", HOT)
def test_queries_use_an_index(name: str, filled: Database) -> None:
    query, values = HOT[name]
    with filled.transaction() as cursor:
        cursor.execute("EXPLAIN " + query, values)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Seq Scan on prefetch_" not in plan, plan
    assert "Seq Scan on clone_requests" not in plan, plan
