"""What a signed URL opened is cached no longer than the URL is good, whoever answers."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from tests.frontdoor.client import DEADLINE_S, eventually, get, jpeg
from tests.origin import Origin
from tests.stack.running import Stack

CLIENT = "public-page"
USUAL_S = 86400  # [http] cache_control


@pytest.fixture(scope="module", autouse=True)
def client(stack: Stack) -> Iterator[None]:
    stack.cli("token", "add", CLIENT, "read")
    yield
    stack.cli("token", "revoke", CLIENT)


def sign(stack: Stack, expires: str, path: str = "/get_thumbnail", **parameters: str) -> str:
    address = f"{path}?{urlencode(parameters)}"
    signed = stack.cli("sign", "--client", CLIENT, "--expires", expires, address).strip()
    return signed if signed.startswith("http") else stack.url + signed


def fetch(address: str, method: str = "GET", **headers: str) -> requests.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.request(method, address, headers=sent, timeout=DEADLINE_S)


def age_of(answer: requests.Response) -> int:
    """Return for how long the answer may be cached, in seconds."""
    values = answer.raw.headers.getlist("Cache-Control")
    assert len(values) == 1
    assert values[0].startswith("public, "), values
    found = re.fullmatch(r"public, max-age=(\d+)", values[0])
    assert found, values
    return int(found[1])


def left_of(address: str, now: float) -> float:
    """Return for how long a signed URL is good, with a second for nginx's clock, which counts whole ones."""
    return int(parse_qs(urlsplit(address).query)["expires"][0]) - now + 1


def test_no_answer_outlives_its_signature(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/signed.jpg", jpeg(seed=71))
    addresses = [
        sign(stack, "10 min", url=url),
        sign(stack, "10 min", url=url, size="100"),
        sign(stack, "10 min", "/get_image", url=url),
        sign(stack, "10 min", "/get_image", url=url, resize_width="40", format_when_resize="png"),
    ]
    eventually(lambda: fetch(addresses[0], "HEAD").ok, "the client is known")
    seen = set()
    for address in addresses * 3:
        for method in ("GET", "HEAD"):
            asked_at = time.time()
            answer = fetch(address, method)
            assert answer.ok, answer.text
            seen.add(answer.headers["X-Cache"])
            assert age_of(answer) <= left_of(address, asked_at)
            assert "X-Image-Cloud-Expires" not in answer.headers
        tag = answer.headers["ETag"]
        unchanged, part = fetch(address, If_None_Match=tag), fetch(address, Range="bytes=1-5")
        assert (unchanged.status_code, part.status_code) == (304, 206)
        assert max(age_of(unchanged), age_of(part)) <= left_of(address, asked_at)
    assert {"RESIZED", "HIT"} <= seen


def test_the_usual_time_is_not_lengthened(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/signed-for-long.jpg", jpeg(seed=72))
    for _ in range(2):
        answer = fetch(sign(stack, "30 d", url=url))
        assert age_of(answer) == USUAL_S
    assert age_of(get(stack, "/get_thumbnail", url=url)) == USUAL_S


def test_it_dies_in_caches_with_its_signature(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/signed-briefly.jpg", jpeg(seed=73))
    address = sign(stack, "3 s", url=url)
    assert age_of(fetch(address)) <= 3
    eventually(lambda: fetch(address).status_code == 403, "it has expired")
    assert fetch(address).headers["Cache-Control"] == "no-store"


def test_errors_of_signed_urls_are_not_cached(stack: Stack, origin: Origin) -> None:
    address = sign(stack, "10 min", url=origin.url("/nothing-signed.jpg"))
    for _ in range(2):
        answer = fetch(address)
        assert answer.status_code == 404
        assert answer.raw.headers.getlist("Cache-Control") == ["no-store"]
    kept = sign(stack, "10 min", url=origin.serve("/kept.jpg", jpeg(seed=74)))
    assert fetch(kept).ok
    odd = fetch(kept, Range="bytes=9999999-")
    assert (odd.status_code, odd.raw.headers.getlist("Cache-Control")) == (416, ["no-store"])
