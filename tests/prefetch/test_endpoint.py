"""POST and GET /fire_and_forget."""

import json
import time
import uuid

import pytest
import requests

from tests.frontdoor.client import eventually, get, problem
from tests.origin import Gate, Origin, answer
from tests.prefetch.node import PATH, Node, picture, urls
from tests.stack.running import Refused


def test_a_batch_is_fetched_with_its_thumbnails(node: Node, origin: Origin) -> None:
    wanted = urls(origin, 5)
    answered = node.post(
        [*wanted, wanted[0], "ftp://a/", "http://10.0.0.1/x", "nonsense"], thumbnails=[200, 100]
    )
    assert answered.status_code == 202
    body = answered.json()
    assert uuid.UUID(body["batch"]).version == 4
    assert (body["accepted"], body["already_cached"], body["duplicates"]) == (5, 0, 1)
    assert [(one["url"], one["code"]) for one in body["rejected"]] == [
        ("ftp://a/", "url_forbidden"), ("http://10.0.0.1/x", "url_forbidden"), ("nonsense", "bad_parameter"),
    ]  # fmt: skip
    state = node.finished(body["batch"])
    assert (state["total"], state["done"], state["failed"], state["failures"]) == (5, 5, 0, {})
    assert state["finished_at"]
    origin.stop()  # from here on only what is stored can be sent
    for url in wanted:
        assert node.picture(url).headers["X-Cache"] == "HIT"
        for size in (100, 200):
            assert get(node.stack, "/get_thumbnail", url=url, size=size).headers["X-Cache"] == "HIT"
    again = node.post(wanted, thumbnails=[200]).json()
    assert (again["accepted"], again["already_cached"]) == (0, 5)
    assert node.progress(again["batch"])["waiting"] == 0


def test_every_spelling_is_fetched_and_kept_as_it_was_given(node: Node, origin: Origin) -> None:
    (url,) = urls(origin, 1)
    wanted = [f" {url}\r\n", f"\x01{url}", f"{url}#top", url.replace("/p", "/x/.%2E/p")]
    refused = [f"{url}\x00", f"{url}\nx", url.replace("127.0.0.1", "127.1")]
    answered = node.post([*wanted, *refused]).json()
    assert (answered["accepted"], answered["duplicates"]) == (4, 0)
    rejected = [(one["url"], one["code"]) for one in answered["rejected"]]
    assert rejected == [(one, "bad_parameter") for one in refused]
    assert node.finished(answered["batch"])["done"] == 4
    assert [request.target for request in origin.requests] == ["/p?0"] * 4
    for one in wanted:
        assert node.picture(one).headers["X-Cache"] == "HIT"


def test_thumbnails_of_what_is_cached_are_made(node: Node, origin: Origin) -> None:
    (url,) = urls(origin, 1)
    assert node.picture(url).status_code == 200
    answered = node.post([url], thumbnails=[400]).json()
    assert (answered["accepted"], answered["already_cached"]) == (1, 0)
    assert node.finished(answered["batch"])["done"] == 1
    assert get(node.stack, "/get_thumbnail", url=url, size=400).headers["X-Cache"] == "HIT"
    assert origin.count("/p") == 1


def test_failures_stand_in_the_batch_with_their_reasons(node: Node, origin: Origin) -> None:
    wanted = [
        origin.behave("/404", answer(404)),
        origin.behave("/500", answer(500)),
        origin.serve("/html", b"<!doctype html><title>Sorry</title>", content_type="text/html"),
        origin.serve("/good", b"\xff\xd8\xff" + b"x" * 100 + b"\xff\xd9"),
    ]
    batch = node.batch(wanted, thumbnails=[100])
    state = node.finished(batch)
    assert (state["done"], state["failed"]) == (0, 4)
    codes = {"origin_not_found": 1, "origin_status": 1, "not_an_image": 1, "truncated_image": 1}
    assert state["failures"] == codes
    listed = node.progress(batch, list_failures="true")["failed_urls"]
    assert {one["url"] for one in listed} == set(wanted)
    assert all(one["detail"] for one in listed)
    assert (origin.count("/404"), origin.count("/500")) == (1, 3)  # final, and prefetch.tries


def test_a_url_that_waits_is_not_queued_twice(node: Node, origin: Origin) -> None:
    gate = Gate(picture)
    wanted = urls(origin, 20, gate)
    first = node.batch(wanted)
    second = node.post(wanted[10:]).json()
    assert (second["accepted"], second["duplicates"]) == (0, 10)
    gate.open()
    assert node.finished(first)["done"] == 20
    assert node.finished(second["batch"])["done"] == 10
    assert origin.count("/p") == 20


def test_higher_priority_goes_first(node: Node, origin: Origin) -> None:
    node.set_limits({"127.0.0.1": 1})
    gate = Gate(picture)
    blocker = node.batch(urls(origin, 1, gate, "/blocker"))
    gate.await_arrival()
    late = node.batch(urls(origin, 3, path="/late"))
    soon = node.batch(urls(origin, 3, path="/soon"), priority=10)
    gate.open()
    for batch in (blocker, late, soon):
        assert node.finished(batch)["failed"] == 0
    assert [request.path for request in origin.requests] == ["/blocker"] + ["/soon"] * 3 + [
        "/late"
    ] * 3


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "JSON object"),
        (b'{"urls": ["http://a/", 1]}', "urls[1]"),
        (b'{"urls": "http://a/"}', "urls"),
        (b'{"urls": [], "thumbnails": [201]}', "100, 200, 250, 400, 800"),
        (b'{"urls": [], "priority": 1.5}', "priority"),
    ],
)
def test_bad_bodies(body: bytes, says: str, node: Node) -> None:
    assert says in problem(node.post_body(body), 400, "bad_body")["detail"]


def test_too_much_for_one_call(node: Node) -> None:
    answered = node.post(f"http://a.example/{n}" for n in range(100_001))
    assert "100000" in problem(answered, 413, "request_too_large")["detail"]
    body = json.dumps({"urls": ["http://a.example/" + "x" * 2000] * 2}).encode()
    large = body + b" " * (32 * 2**20 + 1 - len(body))
    assert "32 MiB" in problem(node.post_body(large), 413, "request_too_large")["detail"]
    assert (
        "32 MiB"
        in problem(node.post_body(large + b" " * 2**21), 413, "request_too_large")["detail"]
    )
    assert node.post_body(large[:-1]).status_code == 202


def test_100_000_urls_at_once_while_others_are_served(node: Node, origin: Origin) -> None:
    """Not a timed test of the 5 s (bench/prefetch.py is): it ends, and users do not notice."""
    (cached,) = urls(origin, 1)
    assert node.picture(cached).status_code == 200
    node.stack.supervisorctl("stop", "image-cloud-prefetch")
    try:
        began = time.monotonic()
        answered = node.post(f"http://shop{n % 5000}.example/{n}.jpg" for n in range(100_000))
        print(f"100,000 URLs were taken in {time.monotonic() - began:.1f} s")
        assert answered.json()["accepted"] == 100_000
        state = node.progress(answered.json()["batch"])
        assert (state["total"], state["waiting"]) == (100_000, 100_000)
        assert node.picture(cached).headers["X-Cache"] == "HIT"
        cancelled = get(node.stack, PATH, "DELETE", batch=answered.json()["batch"])
        assert cancelled.json()["cancelled"] == 100_000
        assert node.progress(answered.json()["batch"])["state"] == "cancelled"
    finally:
        node.stack.psql("TRUNCATE prefetch_requests, prefetch_domains, prefetch_followers")
        node.stack.supervisorctl("start", "image-cloud-prefetch")


def test_batches_that_are_not_there(node: Node) -> None:
    problem(get(node.stack, PATH, batch=str(uuid.uuid4())), 404, "batch_unknown")
    problem(get(node.stack, PATH, batch="nonsense"), 404, "batch_unknown")
    for method in ("DELETE", "POST"):
        unknown = get(node.stack, PATH, method, batch=str(uuid.uuid4()), retry="true")
        problem(unknown, 404, "batch_unknown")
    assert "batch" in problem(get(node.stack, PATH, "DELETE"), 400, "bad_parameter")["detail"]


def test_head_methods_and_scope(node: Node) -> None:
    batch = node.batch([])
    head = get(node.stack, PATH, "HEAD", batch=batch)
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["Content-Length"]) > 100
    assert get(node.stack, PATH, "PUT").status_code == 405
    assert requests.post(node.stack.url + PATH, data=b"{}").status_code == 401
    reader = {"X-Image-Cloud-Token": node.stack.cli("token", "add", "reader", "read").strip()}
    refused = node.until(403, lambda: node.post_body(b'{"urls": []}', **reader))
    problem(refused, 403, "scope_missing")


def test_without_postgresql_nothing_is_promised(node: Node, origin: Origin) -> None:
    node.stack.supervisorctl("stop", "postgres")
    try:
        answered = node.post(urls(origin, 2))
        assert answered.headers["Retry-After"]
        problem(answered, 503, "database_unavailable")
    finally:
        node.stack.supervisorctl("start", "postgres")
    assert node.stack.pid("image-cloud-prefetch")  # it waits, and goes on
    answered = node.until(202, lambda: node.post(urls(origin, 2)))
    assert node.finished(answered.json()["batch"])["done"] == 2


def test_a_full_disk_pauses_and_says_so(node: Node, origin: Origin) -> None:
    with node.settings(
        "min_free_bytes", "9 TB", restart="image-cloud-prefetch image-cloud-control"
    ):
        batch = node.batch(urls(origin, 3))
        eventually(lambda: "event=prefetch_paused" in node.log("image-cloud-prefetch"), "it pauses")
        with pytest.raises(Refused, match="prefetch: paused, the storage is full"):
            node.stack.cli("status")
        assert node.progress(batch)["waiting"] == 3
        assert origin.count("/p") == 0
    assert node.finished(batch)["done"] == 3
    assert "prefetch: working" in node.stack.cli("status")


def test_a_delete_holds_for_what_was_accepted_before_it(node: Node, origin: Origin) -> None:
    """One URL is being downloaded, the other waits behind it, when both are deleted."""
    node.set_limits({"127.0.0.1": 1})
    gate = Gate(picture)
    under_way, waiting = *urls(origin, 1, gate, "/first"), *urls(origin, 1, path="/second")
    batch = node.batch([under_way, waiting])
    gate.await_arrival()
    for url in (under_way, waiting):
        deleted = requests.delete(
            node.stack.url + "/delete_image",
            params={"url": url},
            headers={"X-Image-Cloud-Token": node.stack.token},
        )
        assert deleted.status_code == 200, deleted.text
    gate.open()
    assert node.finished(batch)["failures"] == {"deleted_meanwhile": 2}
    assert [request.path for request in origin.requests] == ["/first"]
    for url in (under_way, waiting):
        answer = get(node.stack, "/get_image", url=url, only_send_if_local="true")
        assert answer.status_code == 404
    again = node.finished(node.batch([under_way]))
    assert (again["done"], again["failures"]) == (1, {})  # asked for anew
