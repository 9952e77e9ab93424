"""The resize pool as its clients see it: answers, problems, and decoders that die."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from image_cloud.config.sections import Failures as FailureSettings
from image_cloud.errors import Busy, CorruptImage, DecoderDied, ImageCloudError, TooManyPixels
from image_cloud.picture.record import Original
from image_cloud.picture.variant import Recipe
from image_cloud.request.internal import ResizeRequest
from image_cloud.request.query import Query
from image_cloud.resize_pool.client import ResizePool
from image_cloud.resize_pool.marks import Attempts
from image_cloud.resize_pool.no_answer import NoAnswer
from image_cloud.storage.failures import RESIZE, Failures
from image_cloud.storage.store import Store

ORIGINAL, RECIPE, IDENTITY = Original("0f" * 32, "jpg"), Recipe(200, 200), "a" * 32


class Call(BaseHTTPRequestHandler):
    """One request, answered as the test says."""

    server: Server

    def do_GET(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(size)
        self.server.behave(self)

    do_POST = do_GET

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass

    def address_string(self) -> str:
        return "unix"


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    behave: Callable[[Call], object]


class Pool:
    """A resize pool that does what the test says, and who asks it."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.attempts = Attempts(folder)
        self.failures = Failures(store.root, FailureSettings())
        self.server = Server(str(folder / "socket"), Call)
        no_answer = NoAnswer(self.attempts, self.failures)
        self.client = ResizePool(str(folder / "socket"), no_answer, timeout_s=20)
        self.impatient = ResizePool(str(folder / "socket"), no_answer, timeout_s=0.05)

    def remembered(self) -> ImageCloudError | None:
        return self.failures.recall(ORIGINAL.key, RESIZE)


@pytest.fixture
def pool(tmp_path: Path, store: Store) -> Iterator[Pool]:
    folder = tmp_path / "run"
    folder.mkdir()
    pool = Pool(folder, store)
    thread = threading.Thread(target=pool.server.serve_forever, args=(0.01,))
    thread.start()
    yield pool
    pool.server.shutdown()
    pool.server.server_close()
    thread.join()


def test_what_is_on_disk_is_asked_for_by_name(pool: Pool) -> None:
    calls: list[tuple[str, ResizeRequest, str | None]] = []

    def behave(call: Call) -> None:
        asked = ResizeRequest.read(Query(call.path.partition("?")[2]))
        calls.append((call.command, asked, call.headers["X-Request-Id"]))
        call.reply(204, b"")

    pool.server.behave = behave
    pool.client.make(ORIGINAL, RECIPE, IDENTITY)
    assert calls == [("GET", ResizeRequest(ORIGINAL, RECIPE, no_image=True), IDENTITY)]


def test_what_is_on_no_disk_is_sent_and_comes_back_resized(pool: Pool) -> None:
    pool.server.behave = lambda call: call.reply(200, call.body[::-1])
    assert pool.client.resize(b"abc", ORIGINAL, RECIPE, IDENTITY) == b"cba"


@pytest.mark.parametrize("error", [CorruptImage("bits"), TooManyPixels("60 MP")])
def test_a_problem_of_the_picture_is_raised_as_such(pool: Pool, error: ImageCloudError) -> None:
    body = json.dumps({"code": error.code, "detail": error.detail}).encode()
    pool.server.behave = lambda call: call.reply(422, body, Retry_After="30")
    with pytest.raises(type(error), match=f"^{error.detail}$") as caught:
        pool.client.make(ORIGINAL, RECIPE, IDENTITY)
    assert caught.value.retry_after_s == 30


@pytest.mark.parametrize("body", [b"", b"[]", b'{"code": 1}', b"<html>"])
def test_an_answer_that_is_no_problem_document_is_no_answer(pool: Pool, body: bytes) -> None:
    pool.server.behave = lambda call: call.reply(500, body)
    with pytest.raises(Busy, match="^the resize pool is busy or away$"):
        pool.client.make(ORIGINAL, RECIPE, IDENTITY)


@pytest.mark.parametrize("unstored", [False, True])
def test_a_picture_that_kills_its_decoder_is_blamed_and_remembered(
    pool: Pool, unstored: bool
) -> None:
    with pool.attempts.under_way(IDENTITY, ORIGINAL.key):  # and never left
        pool.server.behave = lambda call: call.rfile.close()
        with pytest.raises(DecoderDied):
            if unstored:
                pool.client.resize(b"abc", ORIGINAL, RECIPE, IDENTITY)
            else:
                pool.client.make(ORIGINAL, RECIPE, IDENTITY)
    assert isinstance(pool.remembered(), DecoderDied)


def test_a_pool_that_never_saw_the_request_blames_no_picture(pool: Pool) -> None:
    pool.server.behave = lambda call: call.rfile.close()
    with pool.attempts.under_way("b" * 32, ORIGINAL.key), pytest.raises(Busy):
        pool.client.make(ORIGINAL, RECIPE, IDENTITY)
    assert pool.remembered() is None


def test_a_picture_that_is_being_decoded_still_is_not_blamed(pool: Pool) -> None:
    over = threading.Event()
    pool.server.behave = lambda call: over.wait(20)
    with pool.attempts.under_way(IDENTITY, ORIGINAL.key), pytest.raises(Busy):
        pool.impatient.make(ORIGINAL, RECIPE, IDENTITY)
    over.set()
    assert pool.remembered() is None


def test_a_pool_that_is_away_is_busy(tmp_path: Path, pool: Pool) -> None:
    nowhere = NoAnswer(pool.attempts, pool.failures)
    with pytest.raises(Busy):
        ResizePool(str(tmp_path / "nothing"), nowhere, 1.0).make(ORIGINAL, RECIPE, IDENTITY)
