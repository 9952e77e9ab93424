"""Connections are kept, and nothing of one answer reaches the next."""

import contextlib
import os
import threading

import pytest

from image_cloud import errors
from image_cloud.config.sections import Download
from image_cloud.origin import Origin
from image_cloud.picture.url import Url
from tests import origin as wire
from tests.fetching import BODY, CHUNKED, LENGTH, OK, fetch, impatient

EVIL = wire.head(200, {"Content-Length": "4"}) + b"evil"


@pytest.mark.parametrize("body", [b"", b"small", BODY])
def test_connections_are_kept_alive(server: wire.Origin, client: Origin, body: bytes) -> None:
    url = server.serve("/a", body)
    for _ in range(5):
        fetch(client, url)
    assert server.connections == 1


@pytest.mark.parametrize(
    "behaviour",
    [
        wire.brotli,
        wire.answer(500, body=b"x" * 100_000),
        lambda call: call.reply(b"x" * 2_000_000),
    ],
)
def test_an_unread_answer_never_reaches_the_next_request(
    server: wire.Origin, client: Origin, behaviour: wire.Behaviour
) -> None:
    server.serve("/good", BODY)
    server.behave("/bad", behaviour)
    for _ in range(3):
        with contextlib.suppress(errors.ImageCloudError):
            fetch(client, server.url("/bad"))
        assert fetch(client, server.url("/good"))[1] == BODY


@pytest.mark.parametrize(
    "behaviour",
    [
        wire.raw(wire.head(200, {"Content-Length": "3"}) + b"abc" + EVIL, keep=True),
        wire.raw(wire.head(404, {"Content-Length": "3"}) + b"abc" + EVIL, keep=True),
        wire.raw(CHUNKED + b"0\r\n\r\n" + EVIL, keep=True),
        wire.raw(b"HTTP/1.1 204 None\r\n\r\n" + EVIL, keep=True),
        wire.raw(OK + LENGTH + b"Keep it\r\n\r\n" + BODY, keep=True),
        wire.raw(OK + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", keep=True),
        wire.raw(b"HTTP/1.0 200 OK\r\n" + LENGTH + b"\r\n" + BODY, keep=True),
    ],
)
def test_a_connection_with_more_on_it_is_closed(
    server: wire.Origin, client: Origin, behaviour: wire.Behaviour
) -> None:
    server.serve("/good", BODY)
    server.behave("/bad", behaviour)
    with contextlib.suppress(errors.ImageCloudError):
        fetch(client, server.url("/bad"))
    assert fetch(client, server.url("/good"))[1] == BODY
    assert [request.connection for request in server.requests] == [1, 2]


def test_what_comes_late_is_not_the_next_answer(server: wire.Origin, client: Origin) -> None:
    """What an answer still owes, sent when the next request comes, looks like an answer."""
    promised: set[int] = set()

    def bad(call: wire.Call) -> None:
        promised.add(call.request.connection)
        call.send(wire.head(404, {"Content-Length": str(len(EVIL))}))
        call.keep = True

    def good(call: wire.Call) -> None:
        call.send(EVIL if call.request.connection in promised else b"")
        call.reply(BODY)

    server.behave("/bad", bad)
    server.behave("/good", good)
    with pytest.raises(errors.OriginNotFound):
        fetch(client, server.url("/bad"))
    assert fetch(client, server.url("/good"))[1] == BODY


def test_small_errors_keep_the_connection(server: wire.Origin, client: Origin) -> None:
    server.behave("/a", wire.answer(404, body=b"none"))
    for _ in range(3):
        with pytest.raises(errors.OriginNotFound):
            fetch(client, server.url("/a"))
    assert server.connections == 1


def test_a_connection_that_was_closed_meanwhile_is_replaced(
    server: wire.Origin, client: Origin
) -> None:
    server.behave("/a", wire.keep_alive_then_close(BODY))
    assert fetch(client, server.url("/a"))[1] == BODY
    assert fetch(client, server.url("/a"))[1] == BODY
    assert (server.connections, server.count("/a")) == (2, 3)


def test_the_second_try_does_not_take_another_kept_connection(
    server: wire.Origin, client: Origin
) -> None:
    """A server that restarts closes all of them: one more of those would be no better."""
    closing = wire.keep_alive_then_close(BODY)
    meeting = threading.Barrier(2)

    def behaviour(call: wire.Call) -> None:
        if call.request.connection <= 2 and server.count("/a") <= 2:
            meeting.wait(60)  # two at once take two connections
        closing(call)

    url = server.behave("/a", behaviour)
    both = [threading.Thread(target=fetch, args=[client, url]) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(60)
    assert fetch(client, url)[1] == BODY
    assert server.requests[-1].connection == 3
    assert server.count("/a") == 4


def test_a_connection_that_was_replaced_is_new(server: wire.Origin, client: Origin) -> None:
    server.behave("/a", wire.raw(wire.head(200, {"Content-Length": "3"}) + b"abc"))
    server.behave("/b", wire.close)
    fetch(client, server.url("/a"))
    server.await_idle()
    with pytest.raises(errors.OriginReset):
        fetch(client, server.url("/b"))
    assert server.count("/b") == 1


def test_a_new_connection_that_is_closed_is_not_tried_again(
    server: wire.Origin, client: Origin
) -> None:
    server.behave("/a", wire.close)
    with pytest.raises(errors.OriginReset):
        fetch(client, server.url("/a"))
    assert server.count("/a") == 1


def test_the_error_of_the_writer_comes_out_and_the_connection_is_closed(
    server: wire.Origin, client: Origin
) -> None:
    full = OSError(28, "No space left on device")

    def write(block: bytes) -> None:
        raise full

    server.serve("/a", BODY * 4)
    with pytest.raises(OSError, match="No space") as caught:
        client.download(Url.parse(server.url("/a")), write)
    assert caught.value is full
    assert fetch(client, server.url("/a"))[1] == BODY * 4
    assert server.connections == 2


def test_many_threads(server: wire.Origin, client: Origin) -> None:
    bodies = {f"/{number}": os.urandom(30_000) for number in range(64)}
    for path, body in bodies.items():
        server.serve(path, body)
    wrong: list[str] = []

    def download(path: str) -> None:
        downloads = (fetch(client, server.url(path))[1] for _ in range(5))
        wrong.extend(path for body in downloads if body != bodies[path])

    threads = [threading.Thread(target=download, args=[path]) for path in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not wrong
    assert sum(server.counts().values()) == 64 * 5


def test_after_a_fork(server: wire.Origin, settings: Download) -> None:
    """The child uses neither the parent's connections nor its deadlines."""
    server.serve("/a", BODY)
    server.behave("/slow", wire.drip_body())
    client = impatient(settings, total_timeout=1.0)
    fetch(client, server.url("/a"))
    child = os.fork()
    if child == 0:
        try:
            fetch(client, server.url("/a"))
            fetch(client, server.url("/slow"))
        except errors.OriginTimeout:
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    fetch(client, server.url("/a"))
    assert [request.connection for request in server.requests] == [1, 2, 2, 1]
