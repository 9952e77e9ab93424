"""The queue's SQL against a real PostgreSQL: turns, leases, counts, plans."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from image_cloud.db.connect import Database
from image_cloud.db.prefetch import batches, intake, outcomes, queue
from image_cloud.db.prefetch.intake import NewBatch, Wanted
from image_cloud.db.prefetch.outcomes import Outcome
from image_cloud.db.prefetch.queue import Claimed
from image_cloud.picture.url import Url
from tests.postgres import Cluster

ME, OTHER = str(uuid.uuid4()), str(uuid.uuid4())


def wanted(domain: str, *names: str) -> list[Wanted]:
    return [Wanted(f"{domain}-{name}", f"http://{domain}/{name}", domain) for name in names]


def post(
    database: Database, urls: list[Wanted], thumbnails: tuple[int, ...] = (), priority: int = 0
) -> NewBatch:
    batch = NewBatch("tester", time.time(), priority, thumbnails, len(urls), 0, 0, 0)
    with database.transaction() as cursor:
        intake.take_in(cursor, batch, urls)
    return batch


def claim(
    database: Database, most: int = 100, each: int = 1, owner: str = ME, busy: tuple[str, ...] = ()
) -> list[Claimed]:
    with database.transaction() as cursor:
        domains = queue.whose_turn(cursor, busy, most)
        return queue.claim(cursor, dict.fromkeys(domains, each), owner, 60.0)


def settle(database: Database, *ended: Outcome) -> None:
    with database.transaction() as cursor:
        outcomes.settle(cursor, ended)


def progress(database: Database, batch: NewBatch) -> batches.Progress:
    with database.transaction() as cursor:
        found = batches.progress(cursor, batch.id)
    assert found
    return found


def done(one: Claimed, **more: Any) -> Outcome:
    return Outcome(one.key, one.url, made=one.thumbnails, **more)


def test_a_batch_from_beginning_to_end(database: Database) -> None:
    batch = post(database, wanted("a", "1", "2", "3"))
    first, second, third = claim(database, each=5)
    assert [first.url, second.url, third.url] == ["http://a/1", "http://a/2", "http://a/3"]
    assert claim(database) == []
    settle(database, done(first), Outcome(second.key, second.url, code="origin_reset", detail="x"))
    state = progress(database, batch)
    assert (state.total, state.done, state.failed, state.waiting) == (3, 1, 1, 1)
    assert state.failures == {"origin_reset": 1}
    assert state.finished_at is None
    settle(database, Outcome(third.key, third.url, code="origin_reset", detail="y"))
    state = progress(database, batch)
    assert (state.waiting, state.failures) == (0, {"origin_reset": 2})
    assert state.finished_at
    with database.transaction() as cursor:
        failures = batches.failed(cursor, batch.id, "", 10)
        assert batches.backlog(cursor).urls == 0
    assert [(one.url, one.detail) for one in failures] == [("http://a/2", "x"), ("http://a/3", "y")]


def test_urls_with_control_characters_around_them(database: Database) -> None:
    around = [chr(number) for number in range(1, 0x21)]
    urls = [Url.parse(f"{one}http://a/\u00e4'\",{{}}{one}{one}") for one in around]
    batch = post(database, [Wanted(url.key, url.text, url.host) for url in urls])
    claimed = claim(database, each=100)
    assert [(one.url, one.key) for one in claimed] == [(url.text, url.key) for url in urls]
    settle(
        database, *[Outcome(one.key, one.url, code="origin_reset", detail="x") for one in claimed]
    )
    with database.transaction() as cursor:
        failures = batches.failed(cursor, batch.id, "", 100)
    assert {one.url for one in failures} == {url.text for url in urls}


def test_an_outcome_that_is_written_twice_counts_once(database: Database) -> None:
    batch = post(database, wanted("a", "1", "2"))
    one, _ = claim(database, each=2)
    settle(database, done(one))
    settle(database, done(one))
    assert progress(database, batch).done == 1


def test_domains_take_turns(database: Database) -> None:
    post(database, wanted("big", *map(str, range(1000))))
    post(database, wanted("small", "1", "2"))
    order = [one.domain for _ in range(8) for one in claim(database, most=1)]
    assert order[:4] == ["big", "small", "big", "small"]
    assert set(order[4:]) == {"big"}


def test_busy_domains_and_those_set_aside_are_passed_over(database: Database) -> None:
    post(database, wanted("a", "1"))
    post(database, wanted("b", "1"))
    post(database, wanted("c", "1"))
    with database.transaction() as cursor:
        assert queue.whose_turn(cursor, (), 3) == ["a", "b", "c"]
        queue.set_aside(cursor, "a", time.time() + 60)
    assert [one.domain for one in claim(database, busy=("b",))] == ["c"]
    assert [one.domain for one in claim(database)] == ["b"]
    assert claim(database) == []


def test_priority_then_the_order_given(database: Database) -> None:
    post(database, wanted("a", "z", "y"))
    post(database, wanted("a", "x"), priority=5)
    post(database, wanted("a", "w"), priority=-1)
    assert [one.url[-1] for one in claim(database, each=9)] == ["x", "z", "y", "w"]


def test_a_url_that_waits_is_not_queued_twice_but_counts_for_both(database: Database) -> None:
    first = post(database, wanted("a", "1", "2"), thumbnails=(200,))
    second = post(database, wanted("a", "2", "3"), thumbnails=(100,), priority=7)
    assert progress(database, second).duplicates == 1
    assert progress(database, second).waiting == 2
    claimed = {one.url[-1]: one for one in claim(database, each=9)}
    assert sorted(claimed) == ["1", "2", "3"]
    assert list(claimed) == ["2", "3", "1"]  # the second batch's priority
    assert claimed["2"].thumbnails == (100, 200)
    settle(database, Outcome(claimed["2"].key, claimed["2"].url, code="blocked", detail=""))
    assert progress(database, first).failures == {"blocked": 1}
    assert progress(database, second).failures == {"blocked": 1}
    settle(database, done(claimed["1"]), done(claimed["3"]))
    assert progress(database, first).waiting == progress(database, second).waiting == 0


def test_thumbnails_asked_for_meanwhile_are_made_too(database: Database) -> None:
    first = post(database, wanted("a", "1"))
    (one,) = claim(database)
    second = post(database, wanted("a", "1"), thumbnails=(200,))
    settle(database, done(one))
    assert progress(database, first).waiting == progress(database, second).waiting == 1
    (again,) = claim(database)
    assert again.thumbnails == (200,)
    settle(database, done(again))
    assert progress(database, first).waiting == progress(database, second).waiting == 0


def test_a_retry_waits_and_counts(database: Database) -> None:
    batch = post(database, wanted("a", "1"))
    (one,) = claim(database)
    settle(database, Outcome(one.key, one.url, code="busy", detail="d", wait_s=60, tries=1))
    with database.transaction() as cursor:
        assert queue.promote(cursor, 10) == 0
        cursor.execute("UPDATE prefetch_requests SET next_at = now()")
    with database.transaction() as cursor:
        assert queue.promote(cursor, 10) == 1
    assert [again.tries for again in claim(database)] == [1]
    assert progress(database, batch).waiting == 1


def test_leases_of_the_dead_are_given_away(database: Database) -> None:
    post(database, wanted("a", "1", "2"))
    claim(database, owner=OTHER)
    claim(database, owner=ME)
    with database.transaction() as cursor:
        assert sorted(queue.owners(cursor)) == sorted([ME, OTHER])
        assert queue.release(cursor, OTHER) == 1
        assert queue.promote(cursor, 10) == 0  # the other lease stands
    assert [one.url[-1] for one in claim(database)] == ["1"]


def test_claims_at_once_never_share_a_url(database: Database, cluster: Any) -> None:
    for domain in "abcdefgh":
        post(database, wanted(domain, *map(str, range(50))))
    found: list[str] = []

    def work() -> None:
        own = Database(database._settings)
        while some := claim(own, most=3, each=4, owner=str(uuid.uuid4())):
            found.extend(one.key for one in some)
            settle(own, *(done(one) for one in some))
        own.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    while some := claim(database, most=3, each=4):  # a thread ends when the others hold all turns
        found.extend(one.key for one in some)
    assert sorted(found) == sorted({f"{d}-{n}" for d in "abcdefgh" for n in range(50)})


def test_what_comes_while_a_domain_is_found_empty_is_not_forgotten(database: Database) -> None:
    """The claim holds the domain's row; the intake waits for it and puts the domain back."""
    post(database, wanted("a", "1"))
    claim(database)
    other = Database(database._settings)
    with database.transaction() as cursor:
        assert queue.whose_turn(cursor, (), 9) == ["a"]
        intake = threading.Thread(target=post, args=(other, wanted("a", "2")))
        intake.start()
        intake.join(0.3)
        assert intake.is_alive()  # it has to wait: its row is not committed, and cannot be seen
        assert queue.claim(cursor, {"a": 1}, ME, 60.0) == []
    intake.join(60)
    assert [one.url for one in claim(database)] == ["http://a/2"]


def test_intake_and_outcomes_of_the_same_urls_do_not_deadlock(database: Database) -> None:
    urls = wanted("a", *map(str, range(300)))
    post(database, urls)
    stop = threading.Event()
    problems: list[BaseException] = []

    def again(order: int) -> None:
        own = Database(database._settings)
        try:
            while not stop.is_set():
                post(own, urls[::order])
        except BaseException as error:
            problems.append(error)
        own.close()

    threads = [threading.Thread(target=again, args=(order,)) for order in (1, -1)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(30):
            some = claim(database, each=100)
            with database.transaction() as cursor:
                queue.renew(cursor, ME, 60.0)
            settle(database, *(done(one) for one in reversed(some)))
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert not problems


def test_regrouping_moves_what_waits(database: Database) -> None:
    post(database, wanted("i.shop", "1", "2", "3"))
    with database.transaction() as cursor:
        assert queue.regroup(cursor, "i.shop", "shop", 2) == 2
        assert queue.regroup(cursor, "i.shop", "shop", 2) == 1
        assert queue.all_domains(cursor) == ["shop"]
    assert len(claim(database, each=9)) == 3


def test_old_batches_are_forgotten_with_their_failures(database: Database) -> None:
    old, new = post(database, wanted("a", "1")), post(database, wanted("a", "2"))
    for one in claim(database, each=2):
        settle(database, Outcome(one.key, one.url, code="blocked", detail=""))
    with database.transaction() as cursor:
        cursor.execute(
            "UPDATE prefetch_batches SET finished_at = now() - interval '3 d' WHERE id = %s",
            (str(old.id),),
        )
        assert batches.forget_old(cursor, 2 * 86400.0) == 1
        assert batches.progress(cursor, old.id) is None
        assert batches.failed(cursor, old.id, "", 9) == []
        assert batches.progress(cursor, new.id)


FILL = """
    INSERT INTO prefetch_requests (key, url, domain, batch, turn, priority, thumbnails)
    SELECT md5(n::text), 'http://x/' || n, 'domain' || n % 5000, gen_random_uuid(), n, 0, '{}'
    FROM generate_series(1, 50000) n;
    UPDATE prefetch_requests SET ready = false, next_at = now() + (turn % 1000) * interval '1 s'
    WHERE turn % 3 = 0;
    UPDATE prefetch_requests SET owner = gen_random_uuid() WHERE turn % 1000 = 0 AND NOT ready;
    INSERT INTO prefetch_domains (domain) SELECT DISTINCT domain FROM prefetch_requests;
    ANALYZE prefetch_requests, prefetch_domains;
"""


@pytest.fixture(scope="module")
def filled(cluster: Cluster) -> Iterator[Database]:
    database = Database(cluster.new_database())
    with database.transaction() as cursor:
        cursor.execute(FILL)
    yield database
    database.close()


HOT: dict[str, tuple[str, dict[str, Any]]] = {
    "whose_turn": (queue.WHOSE_TURN, {"busy": ["a"], "most": 32}),
    "claim": (queue.CLAIM, {
        "domains": ["domain1", "domain2"], "counts": [1, 8], "owner": ME, "lease_s": 60}),
    "end_of_line": (queue.END_OF_LINE, {"domains": ["domain1", "domain2"]}),
    "forget_empty": (queue.FORGET_EMPTY, {"domains": ["domain1"]}),
    "promote": (queue.PROMOTE, {"most": 500}),
    "renew": (queue.RENEW, {"owner": ME, "lease_s": 60}),
    "release": (queue.RELEASE, {"owner": ME}),
    "lock": (outcomes.LOCK, {"keys": ["a", "b"]}),
    "remove": (outcomes.REMOVE, {"keys": ["a", "b"], "made": ["{}", None]}),
    "unfollow": (outcomes.UNFOLLOW, {"keys": ["a", "b"]}),
    "progress": (batches.FIND, {"id": ME}),
    "failed": (batches.FAILED, {"batch": ME, "after": "", "most": 10}),
}  # fmt: skip


@pytest.mark.parametrize("name", HOT)
def test_hot_queries_use_an_index(name: str, filled: Database) -> None:
    query, values = HOT[name]
    with filled.transaction() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = on")
        cursor.execute("EXPLAIN " + query, values)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    big = [f"Seq Scan on {table}" for table in ("prefetch_requests", "prefetch_domains")]
    assert not [scan for scan in big if scan in plan], plan
    assert "Index Cond" in plan, plan


def test_a_claim_tells_when_it_was_last_asked_for(database: Database) -> None:
    post(database, wanted("a", "1", "2"))
    between = time.time()
    post(database, wanted("a", "2"))
    asked_at = {one.key: one.asked_at for one in claim(database, each=9)}
    assert asked_at["a-1"] <= between + 0.001
    assert asked_at["a-2"] >= between - 0.001
    assert asked_at["a-1"] < asked_at["a-2"]
