"""`[http] allow_origins`: what scripts of other sites may read, whoever answers; HEAD, wherever GET is."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import SETTINGS
from tests.frontdoor.client import DEADLINE_S, get, jpeg, problem
from tests.origin import Origin
from tests.stack.running import Stack

SHOP, OTHER = "https://shop.example", "https://shop.example:8443"
FOREIGN = (
    "https://evil.example",
    "https://shop.example.evil.example",
    "http://shop.example",
    "null",
    "*",
)
LISTED = f"http.allow_origins={SHOP}, {OTHER}"
PATHS = (
    "/get_thumbnail", "/iproxy.php", "/get_image", "/fire_and_forget", "/delete_image",
    "/refresh_image", "/alternative_clouds", "/domains", "/explain", "/node_status", "/history", "/changes",
    "/metrics", "/ready", "/health", "/openapi.json", "/nowhere",
)  # fmt: skip
NOT_COMPARED = {
    "Date", "X-Request-Id", "Content-Length", "Transfer-Encoding", "Connection", "X-Cache",
}  # fmt: skip


@pytest.fixture(scope="module")
def listed() -> Iterator[Stack]:
    with (
        tempfile.TemporaryDirectory(prefix="image-cloud-") as folder,
        Stack(Path(folder) / "home", settings=f"{SETTINGS};{LISTED}") as running,
    ):
        yield running


def check(answer: requests.Response, origin: str | None, vary: str = "Origin") -> None:
    """Check that scripts of `origin` may read the answer, none where that is None."""
    headers = answer.headers
    assert headers.get("Vary") == vary, (answer.url, headers)
    assert headers.get("Access-Control-Allow-Origin") == origin, (answer.url, headers)
    assert headers.get("Timing-Allow-Origin") == origin
    exposed = headers.get("Access-Control-Expose-Headers", "").split(", ")
    assert (
        (exposed == [""])
        if origin is None
        else ({"ETag", "X-Cache", "Retry-After"} <= set(exposed))
    )
    assert "Access-Control-Allow-Credentials" not in headers


def answers(
    stack: Stack, url: str, nothing: str, **headers: str
) -> Iterator[tuple[requests.Response, str]]:
    """Yield answers of nginx alone, of the pools, and of errors, each with what it depends on."""
    for method in ("GET", "HEAD"):
        for _ in range(6):  # made, sent by the front pool, and by nginx alone
            made = get(stack, "/get_thumbnail", method, url=url, headers=headers)
            yield made, "Origin"
            yield get(stack, "/get_image", method, url=url, headers=headers), "Origin"
            auto = get(stack, "/get_thumbnail", method, url=url, format="auto", headers=headers)
            yield auto, "Accept, Origin"
        unchanged = {"If-None-Match": made.headers["ETag"]}
        for more in (
            unchanged,
            {"Range": "bytes=1-2"},
            {"Range": "bytes=999999-"},
            {"If-Match": '"x"'},
        ):
            yield get(stack, "/get_thumbnail", method, url=url, headers=headers | more), "Origin"
        yield get(stack, "/get_image", method, url=nothing, headers=headers), "Origin"
        yield get(stack, "/get_image", method, url=nothing, fallback=1, headers=headers), "Origin"
        yield get(stack, "/get_image", method, headers=headers), "Origin"
        for path in PATHS:
            yield get(stack, path, method, headers=headers), "Origin"
            yield (
                requests.request(method, stack.url + path, headers=headers, timeout=DEADLINE_S),
                "Origin",
            )
    yield (
        requests.get(stack.url + "/get_image?url=é", headers=headers, timeout=DEADLINE_S),
        "Origin",
    )
    yield get(stack, "/_files/x", headers=headers), "Origin"
    yield get(stack, "/get_image", "PUT", headers=headers), "Origin"
    yield get(stack, "/get_image", "BREW", headers=headers), "Origin"
    yield get(stack, "/get_image", url="http://a/" + "x" * 9000, headers=headers), "Origin"


def test_every_answer(listed: Stack, origin: Origin) -> None:
    url, nothing = origin.serve("/cors.jpg", jpeg(300, 200)), origin.url("/nothing.jpg")
    seen: set[int] = set()
    for answer, vary in answers(listed, url, nothing, Origin=SHOP):
        if answer.status_code != 414:  # nginx knows no header of such a request
            check(answer, SHOP, vary)
        seen.add(answer.status_code)
    assert {200, 206, 304, 400, 401, 404, 405, 412, 414, 416, 501} <= seen


@pytest.mark.parametrize("foreign", [*FOREIGN, None, OTHER])
def test_only_the_listed_origins(foreign: str | None, listed: Stack, origin: Origin) -> None:
    url = origin.serve("/foreign.jpg", jpeg(300, 200))
    headers = {"Origin": foreign} if foreign else {}
    for _ in range(4):
        check(
            get(listed, "/get_thumbnail", url=url, headers=headers),
            OTHER if foreign == OTHER else None,
        )
    check(get(listed, "/get_thumbnail", headers=headers), OTHER if foreign == OTHER else None)


def preflight(stack: Stack, path: str, origin: str, **more: str) -> requests.Response:
    asked = {
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "x-image-cloud-token",
    }
    headers = {"Origin": origin, **asked, **more}
    return requests.options(stack.url + path, headers=headers, timeout=DEADLINE_S)


def test_a_preflight_needs_no_token(listed: Stack) -> None:
    for path in (*PATHS, "/get_image?url=http://a/b.jpg&resize_width=3&format_when_resize=auto"):
        answer = preflight(listed, path, SHOP)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["Access-Control-Allow-Origin"] == SHOP
        assert "Origin" in answer.headers["Vary"]
        assert {"GET", "HEAD", "POST", "DELETE"} == set(
            answer.headers["Access-Control-Allow-Methods"].split(", ")
        )
        allowed = answer.headers["Access-Control-Allow-Headers"].split(", ")
        assert {"Authorization", "X-Image-Cloud-Token", "Content-Type"} <= set(allowed)
        assert int(answer.headers["Access-Control-Max-Age"]) > 0


def test_what_is_no_preflight_is_refused_as_ever(listed: Stack, stack: Stack) -> None:
    for answer in (
        preflight(listed, "/get_image", FOREIGN[0]),
        preflight(stack, "/get_image", SHOP),  # where no origin is allowed
        requests.options(listed.url + "/get_image", headers={"Origin": SHOP}, timeout=DEADLINE_S),
    ):
        problem(answer, 401, "token_missing")
        assert "Access-Control-Allow-Methods" not in answer.headers


def test_without_the_option_nothing_is_said(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/none.jpg", jpeg(300, 200))
    for parameters in ({"url": url}, {"url": url}, {"url": url}, {}):
        answer = get(stack, "/get_thumbnail", headers={"Origin": SHOP}, **parameters)
        names = {
            name for name in answer.headers if name.startswith(("Access-Control", "Timing", "Vary"))
        }
        assert names == set()


def test_head_is_get_without_its_body(stack: Stack, origin: Origin) -> None:
    """On every endpoint that /openapi.json describes."""
    url = origin.serve("/head.jpg", jpeg(300, 200))
    described: dict[str, Any] = get(stack, "/openapi.json").json()["paths"]
    paths = [path for path, methods in described.items() if "get" in methods]
    assert len(paths) > 10
    for path in paths:
        for query in (
            {"url": url},
            {"url": "ftp://a/"},
            {"limit": "x", "batch": "x", "window": "x"},
        ):
            whole, head = (get(stack, path, method, **query) for method in ("GET", "HEAD"))
            assert (head.status_code, head.content) == (whole.status_code, b""), path
            sets = [
                {k: v for k, v in one.headers.items() if k not in NOT_COMPARED}
                for one in (whole, head)
            ]
            assert sets[0] == sets[1], path
