"""Limits as the origin counts them at its own door, users first, Retry-After, the circuit breaker."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
import requests

from tests.frontdoor.client import eventually, get, problem
from tests.origin import Call, Gate, Origin, answer, redirect, silent, slow_start
from tests.prefetch.node import Node, picture, urls
from tests.stack.running import free_port

Start = Callable[[int], list[Origin]]


def test_the_limit_holds_for_the_node(node: Node, origin: Origin) -> None:
    """The daemon and many requests for users at once, in several processes."""
    node.set_limits({"default": 3})
    slow = slow_start(0.05, picture)
    batch = node.batch(urls(origin, 60, slow, "/prefetch"))
    with ThreadPoolExecutor(30) as users:
        answers = list(users.map(node.picture, urls(origin, 60, slow, "/user")))
    assert [one.status_code for one in answers] == [200] * 60
    assert node.finished(batch)["done"] == 60
    assert origin.most_parallel == 3
    assert len(origin.requests) == 120
    assert origin.connections < 30  # kept alive and used again


def test_users_take_the_next_free_slot(node: Node, origin: Origin) -> None:
    node.set_limits({"127.0.0.1": 1})
    batch = node.batch(urls(origin, 30, slow_start(0.1, picture), "/prefetch"))
    eventually(lambda: origin.count("/prefetch") >= 2, "prefetch is at it")
    for number in range(3):
        before = origin.count("/prefetch")
        assert node.picture(urls(origin, 30, path="/user")[number]).status_code == 200
        assert origin.count("/prefetch") - before <= 2  # the one under way, one that raced
    assert node.progress(batch)["waiting"] > 5
    assert node.finished(batch)["done"] == 30
    assert origin.most_parallel == 1


def test_a_full_domain_answers_503(node: Node, origin: Origin) -> None:
    node.set_limits({"127.0.0.1": 1})
    own = node.stack
    gate = Gate(picture)
    (held,) = urls(origin, 1, gate, "/held")
    with ThreadPoolExecutor(1) as user:
        first = user.submit(node.picture, held)
        gate.await_arrival()
        refused = node.picture(urls(origin, 1, path="/other")[0])
        problem(refused, 503, "busy")
        assert refused.headers["Retry-After"]
        gate.open()
        assert first.result(30).status_code == 200
    assert own.pid("image-cloud-fetch")


@pytest.mark.parametrize("who", ["image-cloud-fetch", "image-cloud-prefetch"])
def test_a_slot_is_free_again_after_kill_9(who: str, node: Node, origin: Origin) -> None:
    node.set_limits({"127.0.0.1": 1})
    gate = Gate(picture)
    (held,) = urls(origin, 1, gate, "/held")
    batch = ""
    if who == "image-cloud-prefetch":
        batch = node.batch([held])
    else:
        threading.Thread(target=node.picture, args=(held,), daemon=True).start()
    gate.await_arrival()
    if batch:
        node.kill(who)
    else:
        node.kill_worker(who)
        node.kill_worker(who)  # whichever of the two had it
    gate.open()
    (free,) = urls(origin, 1, path="/free")
    eventually(lambda: node.picture(free).status_code == 200, "the slot is free")
    if batch:
        assert node.finished(batch)["done"] == 1
        assert origin.count("/held") <= 2


def test_the_file_is_read_again_and_a_broken_one_refused(node: Node, origin: Origin) -> None:
    def most_parallel() -> int:
        origin.most_parallel = 0
        serial = len(origin.requests)
        batch = node.batch(urls(origin, 30, slow_start(0.05, picture), f"/{serial}"))
        assert node.finished(batch)["done"] == 30
        return origin.most_parallel

    node.set_limits({"default": 9, "127.0.0.1": 2})
    assert most_parallel() == 2
    node.set_limits({"default": 1, "127.0.0.1": 5})
    assert most_parallel() == 5
    node.set_limits('{"default": 1, "127.0.0.1": 0}')
    assert most_parallel() == 5
    assert "event=limits_refused" in node.log("image-cloud-prefetch")
    assert "is refused, the last good one holds: '127.0.0.1': 0" in node.stack.cli("status")
    node.set_limits({"default": 1})
    assert most_parallel() == 1


def test_a_redirect_counts_where_it_leads(node: Node, origins: Start) -> None:
    there, *others = origins(4)
    node.set_limits({"default": 8, there.address: 2})
    address = there.behave("/there", slow_start(0.05, picture))
    batches = []
    for other in others:
        for number in range(10):
            other.behave(f"/{number}", redirect(f"{address}?{other.port}-{number}"))
        batches.append(node.batch([other.url(f"/{number}") for number in range(10)]))
    for batch in batches:
        assert node.finished(batch)["done"] == 10
    assert there.most_parallel == 2


def test_slow_and_big_domains_delay_nobody(node: Node, origins: Start) -> None:
    """Ten domains that hang have more slots together than there are threads; one has a long queue."""
    *hanging, big, small = origins(12)
    batches = [node.batch(urls(one, 40, silent)) for one in hanging]
    eventually(lambda: all(one.parallel for one in hanging), "all that hang have begun")
    long = node.batch(urls(big, 3000))
    began = time.monotonic()
    assert node.finished(node.batch(urls(small, 10)))["done"] == 10
    assert time.monotonic() - began < 14  # before the first of those that hang is given up
    assert node.progress(long)["waiting"] > 1000
    forget(node, [*batches, long])
    for one in hanging:
        one.stop()


def forget(node: Node, batches: list[str]) -> None:
    """Empty the queue of what a test only needed to be there."""
    ids = ", ".join(f"'{batch}'" for batch in batches)
    node.stack.psql(f"DELETE FROM prefetch_requests WHERE batch IN ({ids}) AND owner IS NULL")


def test_retry_after_stops_the_whole_domain(node: Node, origin: Origin) -> None:
    asked = threading.Event()

    def throttle(call: Call) -> None:
        if asked.is_set():
            picture(call)
        else:
            asked.set()
            call.reply(status=429, headers={"Retry-After": "3"})

    node.set_limits({"127.0.0.1": 1})
    batch = node.batch(urls(origin, 5, throttle))
    assert asked.wait(60)
    (url,) = urls(origin, 1, path="/user")
    refused = node.until(503, lambda: node.picture(url))
    assert problem(refused, 503, "origin_paused")["upstream_status"] == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 3
    assert f"domain 127.0.0.1/{origin.port}: paused" in node.stack.cli("status")
    assert node.finished(batch)["done"] == 5
    first, second, *_ = [one for one in origin.requests if one.path == "/p"]
    assert second.at_s - first.at_s >= 2.9


def test_a_domain_that_fails_again_and_again_is_left_alone(node: Node, origin: Origin) -> None:
    node.set_limits({"127.0.0.1": 2})
    batch = node.batch(urls(origin, 100, answer(500)))
    name = f"domain 127.0.0.1/{origin.port}: "
    eventually(lambda: f"{name}broken" in node.stack.cli("status"), "the breaker opens")
    metrics = get(node.stack, "/metrics").text
    assert f'image_cloud_domain_pause_seconds{{domain="127.0.0.1/{origin.port}"}}' in metrics
    assert 'image_cloud_prefetch_urls{state="waiting"}' in metrics
    asked = len(origin.requests)
    assert 6 <= asked <= 8  # politeness.failures, and what was under way
    (url,) = urls(origin, 1, path="/user")
    refused = node.picture(url)
    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
    eventually(lambda: len(origin.requests) > asked, "one tries")
    origin.behave("/p", picture)
    state = node.finished(batch)
    assert state["done"] + state["failed"] == 100
    assert state["done"] >= 90
    assert name not in node.stack.cli("status")
    assert "event=domain_mended" in node.log("image-cloud-prefetch") + node.log("image-cloud-fetch")


def test_a_dead_shops_batch_ends_with_its_reason(node: Node, origin: Origin) -> None:
    (alive,) = urls(origin, 1, path="/alive")
    dead = f"127.0.9.9:{free_port()}"
    with node.settings("give_up_after", "3 s", restart="image-cloud-prefetch"):
        batch = node.batch([alive, *(f"http://{dead}/{number}.jpg" for number in range(60))])
        state = node.finished(batch)
    assert (state["done"], state["failed"], state["failures"]) == (1, 60, {"origin_refused": 60})
    assert state["finished_at"]
    failed = node.progress(batch, list_failures="true")["failed_urls"]
    given_up = [one["detail"] for one in failed if "since" in one["detail"]]
    assert len(given_up) > 30
    assert all("127.0.9.9 has answered nothing useful since 20" in detail for detail in given_up)


def test_operators_see_pauses_and_lift_them(node: Node, origin: Origin) -> None:
    name = f"127.0.0.1/{origin.port}"
    batch = node.batch(urls(origin, 20, answer(503, headers={"Retry-After": "86400"})))
    eventually(lambda: f"{name}: paused" in node.stack.cli("domains"), "it is paused")
    (told,) = get(node.stack, "/domains", domain=name).json()["domains"]
    assert (told["domain"], told["state"]) == (name, "paused")
    assert told["why"]["upstream_status"] == 503
    listed = json.loads(node.stack.cli("domains", "--json"))["domains"]
    assert name in [one["domain"] for one in listed]
    next_try, for_users, since = (
        datetime.fromisoformat(told[one]) for one in ("next_try", "next_try_interactive", "since")
    )
    assert 3590 <= (next_try - since).total_seconds() <= 3660
    assert 290 <= (for_users - since).total_seconds() <= 360
    refused = node.picture(urls(origin, 1, path="/user")[0])
    assert 0 < int(refused.headers["Retry-After"]) <= 300
    origin.behave("/p", picture)
    answered = get(node.stack, "/domains/resume", "POST", domain=name)
    assert answered.json() == {"domain": name, "resumed": True}
    state = node.finished(batch)
    assert state["done"] + state["failed"] == 20
    assert state["done"] > 10
    assert node.stack.cli("domains", "resume", name) == f"{name} was not paused\n"
    assert json.loads(node.stack.cli("domains", "resume", name, "--json"))["resumed"] is False
    assert name not in node.stack.cli("domains")
    reader = {"X-Image-Cloud-Token": node.stack.cli("token", "add", "no-operator", "read").strip()}
    address = f"{node.stack.url}/domains/resume?domain={name}"
    problem(
        node.until(403, lambda: requests.post(address, headers=reader, timeout=30)),
        403, "scope_missing",
    )  # fmt: skip
