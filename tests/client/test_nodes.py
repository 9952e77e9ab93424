"""Several nodes, some of them away, busy or broken.  A node here is an origin that says what it is told."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import threading
import time
from collections.abc import Iterator

import pytest

from image_cloud_client import Client, ImageCloudError, UnexpectedAnswer, Unreachable, errors
from tests.origin import Behaviour, Call, Origin, answer, html, raw, raw_and_hold, short_body
from tests.stack.running import free_port

TOKEN = "a token that is a secret"
URL = "http://shop.example/a.jpg"
JPEG = {"Content-Type": "image/jpeg"}


@pytest.fixture
def other() -> Iterator[Origin]:
    with Origin() as running:
        yield running


def client(*nodes: Origin | str, patience_s: float = 5.0, timeout_s: float = 5.0) -> Client:
    urls = [node if isinstance(node, str) else node.url("") for node in nodes]
    return Client(urls, TOKEN, patience_s=patience_s, timeout_s=timeout_s)


def away() -> str:
    return f"http://127.0.0.1:{free_port()}"


def problem(status: int, code: str, **headers: str) -> Behaviour:
    document = {"code": code, "detail": "because", "request_id": "r1", "status": status}
    given = {"Content-Type": "application/problem+json", **headers}
    return answer(status, given, json.dumps(document).encode())


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Behave like each of these once, and like the last from then on."""
    left = list(behaviours)
    return lambda call: (left.pop(0) if len(left) > 1 else left[0])(call)


def test_a_node_that_is_away_is_passed_over(origin: Origin) -> None:
    origin.serve("/get_image", b"picture")
    with client(away(), origin) as two:
        began = time.monotonic()
        assert [two.get(URL) for _ in range(20)] == [b"picture"] * 20
        assert time.monotonic() - began < 20


BROKEN: dict[str, Behaviour] = {
    "a reset": Call.reset,
    "a short body": short_body(b"half", 100),
    "no HTTP": raw(b"SSH-2.0-OpenSSH\r\n"),
    "a proxy's 502": answer(502, {"Content-Type": "text/html"}, b"<h1>Bad Gateway</h1>"),
    "busy": problem(503, "busy", **{"Retry-After": "60"}),
    "paused": problem(503, "origin_paused", **{"Retry-After": "60"}),
    "too many requests": problem(429, "too_many_requests", **{"Retry-After": "60"}),
    "a storage that is away": problem(503, "storage_unavailable", **{"Retry-After": "60"}),
    "silence": raw_and_hold(b""),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_node_that_cannot_answer_is_passed_over(how: str, origin: Origin, other: Origin) -> None:
    origin.behave("/get_image", BROKEN[how])
    other.serve("/get_image", b"picture")
    with client(origin, other, timeout_s=0.5) as two:
        assert two.get(URL) == b"picture"
    assert other.requests[0].headers["x-image-cloud-token"] == TOKEN


REFUSALS = {
    "origin_not_found": (404, errors.OriginNotFound),
    "too_many_pixels": (413, errors.ImageTooLarge),
    "origin_status": (502, errors.OriginFailed),
    "origin_timeout": (504, errors.OriginTimeout),
    "bad_parameter": (400, errors.BadParameter),
    "token_unknown": (401, errors.TokenUnknown),
    "a_new_code": (422, ImageCloudError),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_what_is_wrong_with_the_picture_is_raised_and_asked_of_one_node_alone(
    code: str, origin: Origin, other: Origin
) -> None:
    status, kind = REFUSALS[code]
    origin.behave("/get_image", problem(status, code, **{"Retry-After": "7"}))
    with client(origin, other) as two, pytest.raises(kind) as raised:
        two.get(URL)
    error = raised.value
    assert (error.code, error.status, error.retry_after_s) == (code, status, 7.0)
    assert (error.detail, error.request_id) == ("because", "r1")
    assert not other.requests
    copied = pickle.loads(pickle.dumps(error))
    assert (type(copied), copied.__dict__) == (type(error), error.__dict__)


@pytest.mark.parametrize("code", ["busy", "too_many_requests"])
def test_retry_after_is_obeyed(code: str, origin: Origin) -> None:
    refusal = problem(503 if code == "busy" else 429, code, **{"Retry-After": "1"})
    origin.behave("/get_image", in_turn(refusal, answer(200, JPEG, b"picture")))
    with client(origin) as one:
        assert one.get(URL) == b"picture"
    first, second = (request.at_s for request in origin.requests)
    assert second - first >= 1


def test_patience_ends(origin: Origin) -> None:
    origin.behave("/get_image", problem(503, "busy", **{"Retry-After": "60"}))
    with client(origin) as one:
        began = time.monotonic()
        with pytest.raises(errors.Busy) as raised:
            one.get(URL)
    assert time.monotonic() - began < 30
    assert raised.value.retry_after_s == 60
    assert origin.count("/get_image") == 1


def test_a_node_that_asks_for_a_rest_has_it_from_every_call(origin: Origin) -> None:
    origin.behave("/get_image", problem(429, "too_many_requests", **{"Retry-After": "60"}))
    with client(origin) as one:
        for _ in range(5):
            with pytest.raises(errors.TooManyRequests):
                one.get(URL)
    assert origin.count("/get_image") == 1


def test_nobody_there_is_unreachable_and_shows_no_token() -> None:
    with client(away(), away(), patience_s=0) as two, pytest.raises(Unreachable) as raised:
        two.get(URL)
    assert TOKEN not in f"{raised.value!r} {raised.value}"


def test_a_node_that_comes_back_is_asked_again(origin: Origin) -> None:
    origin.behave("/get_image", in_turn(Call.reset, Call.reset, answer(200, JPEG, b"picture")))
    with client(origin) as one:
        assert one.get(URL) == b"picture"


def test_an_answer_that_is_no_image_clouds(origin: Origin) -> None:
    origin.behave("/get_image", answer(302, {"Location": origin.url("/log_in")}))
    origin.behave("/log_in", html)
    with client(origin) as one, pytest.raises(UnexpectedAnswer, match="302"):
        one.get(URL)
    assert not origin.count("/log_in")  # the token goes nowhere else


OTHERS: dict[str, Behaviour] = {
    "a page": html,
    "no gzip": answer(200, {"Content-Encoding": "gzip"}, b"no gzip"),
    "a list": answer(200, {"Content-Type": "application/json"}, b"[]"),
    "another document": answer(200, {"Content-Type": "application/json"}, b"{}"),
}


@pytest.mark.parametrize("how", OTHERS)
def test_a_success_that_is_no_image_clouds(how: str, origin: Origin) -> None:
    for path in ("/get_image", "/image_info", "/fire_and_forget"):
        origin.behave(path, OTHERS[how])
    with client(origin, patience_s=0) as one:
        for call in (one.get, lambda url: one.prefetch([url])):
            with pytest.raises((UnexpectedAnswer, Unreachable)):
                call(URL)
        if how != "another document":  # whose members nobody counts
            with pytest.raises((UnexpectedAnswer, Unreachable)):
                one.info(URL)


def test_an_odd_url_is_one_picture_of_many(origin: Origin) -> None:
    def behave(call: Call) -> None:
        is_odd = "%ED%A0%80" in call.request.target
        (problem(400, "bad_parameter") if is_odd else answer(200, JPEG, b"picture"))(call)

    origin.behave("/get_image", behave)
    odd = URL + "\ud800"
    with client(origin) as one:
        came = dict(one.get_many([URL, odd, URL + "?2"], 1))
    assert isinstance(came.pop(odd), errors.BadParameter)
    assert came == {URL: b"picture", URL + "?2": b"picture"}


def test_connections_are_used_again(origin: Origin) -> None:
    origin.serve("/get_image", b"picture")
    with client(origin) as one:
        for _ in range(10):
            one.get(URL)
    assert origin.connections == 1


def test_a_kept_connection_that_was_closed_is_no_outage(origin: Origin) -> None:
    def last(call: Call) -> None:
        call.reply(b"picture", headers=JPEG)
        call.keep = False

    origin.behave("/get_image", last)
    with client(origin, patience_s=0) as one:
        assert [one.get(URL) for _ in range(20)] == [b"picture"] * 20


def test_a_fork_and_a_pickle_have_connections_of_their_own(origin: Origin) -> None:
    origin.serve("/get_image", b"picture")
    with client(origin) as one:
        one.get(URL)
        forked = multiprocessing.get_context("fork").Process(target=one.get, args=(URL,))
        forked.start()
        forked.join(60)
        assert forked.exitcode == 0
        assert [request.connection for request in origin.requests] == [1, 2]
        copied: Client = pickle.loads(pickle.dumps(one))
        assert (copied.get(URL), one.get(URL)) == (b"picture", b"picture")
        copied.close()


def test_threads_share_a_client(origin: Origin) -> None:
    origin.serve("/get_image", b"picture")
    came: list[bytes] = []
    with client(origin) as one:
        threads = [threading.Thread(target=lambda: came.append(one.get(URL))) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert came == [b"picture"] * 20


def test_a_delete_finds_the_node_that_takes_it(origin: Origin, other: Origin) -> None:
    origin.behave("/delete_image", problem(403, "forbidden"))
    other.serve("/delete_image", b'{"deleted": true}', content_type="application/json")
    with client(origin, other) as two:
        assert two.delete(URL) == {"deleted": True}
    other.behave("/delete_image", problem(403, "scope_missing"))
    with client(origin, other) as two, pytest.raises(errors.ScopeMissing):
        two.delete(URL)


def test_nothing_shows_the_token(origin: Origin) -> None:
    with client(origin) as one:
        one._nodes._session()
        shown = (
            f"{one!r} {one!s} {one._nodes!r} {one.url(URL)} {one.srcset(URL, expires_in_s=None)}"
        )
    assert TOKEN not in shown


@pytest.mark.parametrize(
    "urls",
    [
        [],
        ["ic00:5000"],
        ["http://"],
        ["http://u:secret@ic00"],
        "http://ic00",
        ["http://ic00:99999"],
    ],
)
def test_nodes_are_checked(urls: list[str]) -> None:
    with pytest.raises(ValueError, match="expected is") as raised:
        Client(urls, TOKEN)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("token", ["", "with\nline feed", "ü"])
def test_tokens_are_checked(token: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        Client(["http://ic00"], token)
