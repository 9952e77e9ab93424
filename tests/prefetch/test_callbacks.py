"""The end of a batch is told to its callback: signed, within the rules of downloads, over restarts."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
from typing import Any

import pytest

from tests.frontdoor.client import eventually, get, problem
from tests.origin import Gate, Origin, Request, answer, redirect, silent
from tests.prefetch.node import PATH, Node, picture, urls
from tests.stack.running import free_port


def callback(node: Node, batch: str) -> dict[str, Any]:
    state: dict[str, Any] = node.progress(batch)["callback"]
    return state


def over(node: Node, batch: str) -> dict[str, Any]:
    """Return what became of the callback, once nothing more is tried."""
    eventually(lambda: callback(node, batch)["state"] in ("delivered", "given_up"), "it is over")
    return callback(node, batch)


def check(node: Node, request: Request) -> dict[str, Any]:
    """Return what a receiver was told, verified as docs/prefetch.md says."""
    key = hashlib.sha256(node.stack.token.encode()).hexdigest().encode()
    timestamp = request.headers["x-image-cloud-timestamp"]
    message = b"callback\n" + timestamp.encode() + b"\n" + request.body
    expected = hmac.new(key, message, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(expected, request.headers["x-image-cloud-signature"])
    assert abs(time.time() - int(timestamp)) < 120
    assert (request.method, request.headers["content-type"]) == ("POST", "application/json")
    assert node.stack.token not in f"{request}"
    body: dict[str, Any] = json.loads(request.body)
    return body


def test_the_end_is_told(node: Node, origin: Origin) -> None:
    receiver = origin.behave("/told", answer(204))
    wanted = [*urls(origin, 2), *urls(origin, 1, answer(404), "/gone")]
    batch = node.batch(wanted, callback=receiver + "?secret=hush")
    assert over(node, batch) == {"state": "delivered", "tries": 1, "code": None}
    (request,) = [one for one in origin.requests if one.path == "/told"]
    assert request.target == "/told?secret=hush"
    body = check(node, request)
    state = node.progress(batch)
    assert body == {name: value for name, value in state.items() if name != "callback"}
    assert (body["state"], body["done"], body["failures"]) == (
        "finished",
        2,
        {"origin_not_found": 1},
    )
    assert "hush" not in f"{state}{get(node.stack, PATH).json()}"
    for log in (node.stack.home / "log").rglob("*.log"):
        assert "hush" not in log.read_text(errors="replace"), log


def test_the_end_of_what_was_cancelled_or_there_already_is_told(node: Node, origin: Origin) -> None:
    receiver = origin.behave("/told", answer(200))
    gate = Gate(picture)
    node.set_limits({"127.0.0.1": 1})
    (cached,) = urls(origin, 1, path="/cached")
    assert node.picture(cached).status_code == 200
    batch = node.batch(urls(origin, 2, gate), callback=receiver)
    gate.await_arrival()
    assert get(node.stack, PATH, "DELETE", batch=batch).json()["cancelled"] == 1
    assert callback(node, batch)["state"] == "waiting"
    gate.open()
    for one in (batch, node.batch([cached], callback=receiver)):
        assert over(node, one)["state"] == "delivered"
    told = [check(node, one) for one in origin.requests if one.path == "/told"]
    ends = sorted((one["state"], one["cancelled"]) for one in told)
    assert ends == [("cancelled", 1), ("finished", 0)]


def test_a_failing_receiver_is_tried_five_times(node: Node, origin: Origin) -> None:
    receiver = origin.behave("/told", answer(500))
    batch = node.batch([], callback=receiver)
    assert over(node, batch) == {"state": "given_up", "tries": 5, "code": "http_500"}
    moments = [one.at_s for one in origin.requests if one.path == "/told"]
    waits = [after - before for before, after in itertools.pairwise(moments)]
    assert len(waits) == 4
    assert all(wait >= 0.05 * 4**number for number, wait in enumerate(waits))


def test_a_redirecting_receiver_is_not_followed(node: Node, origin: Origin) -> None:
    batch = node.batch([], callback=origin.behave("/told", redirect("/elsewhere", 307)))
    assert over(node, batch) == {"state": "given_up", "tries": 5, "code": "http_307"}
    assert origin.count("/elsewhere") == 0


def test_a_dead_receiver_is_given_up(node: Node) -> None:
    batch = node.batch([], callback=f"http://127.0.9.9:{free_port()}/told")
    assert over(node, batch) == {"state": "given_up", "tries": 5, "code": "origin_refused"}


def test_a_slow_receiver_holds_up_nothing(node: Node, origin: Origin) -> None:
    with Origin(address="127.0.2.1") as slow:
        waiting = [node.batch([], callback=slow.behave("/told", silent)) for _ in range(8)]
        eventually(lambda: slow.count("/told"), "it is asked")
        quick = node.batch(urls(origin, 5), callback=origin.behave("/told", answer(200)))
        assert over(node, quick)["tries"] == 1
        assert node.finished(quick)["done"] == 5
        assert slow.count("/told") == 1  # one at a time to one host
        eventually(lambda: callback(node, waiting[0])["code"], "10 s are over")
        assert callback(node, waiting[0])["code"] == "origin_timeout"
        slow.behave("/told", answer(200))
        for batch in waiting:
            assert over(node, batch)["state"] == "delivered"


@pytest.mark.parametrize("address", ["10.0.0.1", "[::1]", "169.254.169.254"])
def test_a_private_receiver_is_refused(address: str, node: Node) -> None:
    refused = node.post([], callback=f"http://{address}/told")
    assert problem(refused, 403, "url_forbidden")["detail"].startswith("callback: ")


def test_a_name_that_leads_to_a_private_address_is_not_asked(node: Node) -> None:
    """`localhost` is ::1 as well here, which no setting allows."""
    name = "ip6-localhost"
    batch = node.batch([], callback=f"http://{name}:{free_port()}/told")
    assert over(node, batch)["code"] in ("url_forbidden", "origin_dns")


def test_what_is_due_outlives_the_daemon(node: Node, origin: Origin) -> None:
    receiver = origin.behave("/told", answer(200))
    node.stack.supervisorctl("stop", "image-cloud-prefetch")
    try:
        batch = node.batch([], callback=receiver)
        assert callback(node, batch) == {"state": "trying", "tries": 0, "code": None}
    finally:
        node.stack.supervisorctl("start", "image-cloud-prefetch")
    assert over(node, batch)["state"] == "delivered"
    assert origin.count("/told") == 1
