"""The client against a real node."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from PIL import Image

import image_cloud.client
from image_cloud_client import Client, ImageCloudError, errors
from tests.frontdoor.client import jpeg
from tests.origin import Origin, answer
from tests.stack.running import Stack, free_port

NAME = "client-tests"


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    return stack.cli("token", "add", NAME, "read", "prefetch", "delete").split()[-1]


@pytest.fixture
def client(stack: Stack, token: str) -> Iterator[Client]:
    """A client of two nodes, the first of which is away."""
    with Client([f"http://127.0.0.1:{free_port()}", stack.url], token, name=NAME) as opened:
        yield opened


@pytest.fixture
def one(stack: Stack, token: str) -> Iterator[Client]:
    with Client([stack.url], token, name=NAME) as opened:
        yield opened


def size_of(picture: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(picture)).size


def test_what_is_known_of_a_picture(client: Client, origin: Origin) -> None:
    content = jpeg(120, 90, seed=905)
    url = origin.serve("/known.jpg", content)
    with pytest.raises(errors.NotLocal):
        client.info(url, only_send_if_local=True)
    told = client.info(url)
    assert (told["width"], told["height"], told["bytes"]) == (120, 90, len(content))
    assert told["sha256"] == hashlib.sha256(content).hexdigest()
    assert told["origin"] == {"etag": None, "last_modified": None}
    assert client.info(url, max_age=0)["dhash"] == told["dhash"]
    with pytest.raises(errors.OriginNotFound):
        client.info(origin.url("/nothing.jpg"))


def test_pictures(client: Client, origin: Origin) -> None:
    original = jpeg(640, 480, seed=901)
    origin.serve("/a%20b.jpg", original)
    url = origin.url("/a b.jpg?x=1&y=é")
    assert client.get(url) == original
    assert size_of(client.thumbnail(url)) == (200, 150)
    assert size_of(client.thumbnail(url, 250)) == (250, 188)
    assert size_of(client.get(url, resize_width=64, resize_height=64, resize_mode="crop")) == (
        64,
        64,
    )
    image = client.image(url, resize_width=32, format_when_resize="png", keep_aspect_ratio=False)
    assert (image.format, image.size) == ("PNG", (32, 480))
    assert client.get(url, no_image=True) == b""


def test_an_option_that_nobody_knows_is_not_passed_over(one: Client) -> None:
    wrong: dict[str, Any] = {"resize_widht": 3}
    with pytest.raises(TypeError, match="resize_widht"):
        one.get("http://shop.example/a.jpg", **wrong)
    with pytest.raises(TypeError, match="resize_widht"):
        one.get_many([], **wrong)


def test_addresses(one: Client, stack: Stack, origin: Origin) -> None:
    origin.serve("/addresses.jpg", jpeg(seed=902))
    url = origin.url("/addresses.jpg?x=1&y='2' é~*")
    assert requests.get(one.url(url), timeout=60).status_code == 401
    opened = requests.get(one.url(url, 100), headers=one.headers, timeout=60)
    assert size_of(opened.content) == (100, 75)
    signed = one.signed_url(url, resize_width=50, resize_height=50, resize_mode="pad")
    assert size_of(requests.get(signed, timeout=60).content) == (50, 50)
    late = requests.get(one.signed_url(url, 100, expires_in_s=-5), timeout=60)
    assert late.json()["code"] == "signature_expired"
    forged = signed.replace("resize_width=50", "resize_width=51")
    assert requests.get(forged, timeout=60).json()["code"] == "bad_signature"
    sources = dict(source.split(" ") for source in one.srcset(url, (100, 300)).split(", "))
    widths = {
        width: size_of(requests.get(address, timeout=60).content)[0]
        for address, width in sources.items()
    }
    assert widths == {"100w": 100, "300w": 300}


def test_many(client: Client, origin: Origin) -> None:
    urls = [
        origin.serve(f"/many/{number}.jpg", jpeg(300, 200, seed=number)) for number in range(40)
    ]
    broken = origin.behave("/many/gone.jpg", answer(410))
    came = dict(client.get_many([*urls, broken], 8, size=100))
    assert set(came) == {*urls, broken}
    error = came.pop(broken)
    assert isinstance(error, errors.OriginNotFound)
    assert error.upstream_status == 410
    pictures = [one for one in came.values() if isinstance(one, bytes)]
    assert {size_of(one) for one in pictures} == {(100, 67)}
    assert len(pictures) == 40


def test_a_batch(client: Client, stack: Stack, origin: Origin) -> None:
    urls = [origin.serve(f"/batch/{number}.jpg", jpeg(seed=number)) for number in range(5)]
    broken = origin.behave("/batch/gone.jpg", answer(404))
    batch = client.prefetch([*urls, broken, urls[0]], thumbnails=[100], priority=5)
    assert (batch.node, batch.accepted["duplicates"]) == (stack.url, 1)
    seen: list[dict[str, Any]] = []
    state = batch.wait(seen.append, every_s=0.1, timeout_s=60)
    assert seen[-1] == state
    assert (state["done"], state["failed"], state["waiting"]) == (5, 1, 0)
    assert [(one["url"], one["code"]) for one in batch.failures()] == [(broken, "origin_not_found")]
    origin.serve("/batch/gone.jpg", jpeg(seed=99))
    assert batch.retry() == 1
    assert batch.wait(every_s=0.1, timeout_s=60)["failed"] == 0
    assert batch.cancel() == 0


def test_a_batch_that_takes_too_long(one: Client, origin: Origin) -> None:
    url = origin.behave("/slow.jpg", lambda call: call.wait(30))
    batch = one.prefetch([url])
    with pytest.raises(TimeoutError, match="1 of 1"):
        batch.wait(every_s=0.05, timeout_s=0.1)
    batch.cancel()


def test_refresh_and_delete(client: Client, origin: Origin) -> None:
    url = origin.serve("/changing.jpg", jpeg(seed=903))
    client.get(url)
    assert client.refresh(url)["changed"] is False
    changed = jpeg(seed=904)
    origin.serve("/changing.jpg", changed)
    assert client.refresh(url)["changed"] is True
    assert client.get(url) == changed
    assert client.delete(url, block=True)["deleted"] is True
    with pytest.raises(errors.Blocked):
        client.get(url)
    client.delete(url, block=False)
    assert client.get(url) == changed


def test_refusals_are_exceptions(one: Client, stack: Stack, origin: Origin) -> None:
    with pytest.raises(errors.NotAnImage) as raised:
        one.get(origin.serve("/page.jpg", b"<!doctype html><p>Sorry", content_type="text/html"))
    assert (raised.value.status, bool(raised.value.request_id)) == (422, True)
    with pytest.raises(errors.BadParameter, match="quality"):
        one.get(origin.url("/a.jpg"), resize_width=3, quality=1000)
    with pytest.raises(errors.OriginNotFound) as remembered:
        one.get(origin.url("/nothing.jpg"))
    assert remembered.value.retry_after_s
    with pytest.raises(errors.NotLocal):
        one.get(origin.url("/unheard_of.jpg"), only_send_if_local=True)
    stranger = Client([stack.url], "nobody-gave-out-this-token-ever")
    with pytest.raises(errors.TokenUnknown):
        stranger.get(origin.url("/a.jpg"))


def test_the_server_reexports_it() -> None:
    assert image_cloud.client.Client is Client
    assert image_cloud.client.ImageCloudError is ImageCloudError


def test_it_is_patient_with_a_busy_domain(one: Client, origin: Origin) -> None:
    """An origin's 429 pauses its domain; who asks then waits as long as the node says, or is told."""
    url = origin.behave("/throttled.jpg", answer(429, {"Retry-After": "1"}))
    began = time.monotonic()
    with pytest.raises(ImageCloudError) as raised:
        one.get(url)
    assert isinstance(raised.value, (errors.OriginStatus, errors.OriginPaused))
    assert time.monotonic() - began < 60
