"""What nginx's access log says of a request, and the id by which it is found there."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from image_cloud.picture.key import fan_out, key_of
from tests.frontdoor.client import eventually, get, get_raw, jpeg
from tests.nginx.wire import Wire
from tests.origin import Origin
from tests.stack.running import Stack

ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def lines_of(stack: Stack, request_id: str) -> list[dict[str, Any]]:
    log = stack.home / "log/nginx/access.log"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line for line in lines if line["request_id"] == request_id]


def line_of(stack: Stack, answer: requests.Response) -> dict[str, Any]:
    """Return the one line of the log that has the answer's id."""
    assert len(answer.raw.headers.getlist("X-Request-Id")) == 1
    request_id = answer.headers["X-Request-Id"]
    assert ID.fullmatch(request_id), request_id
    found: list[dict[str, Any]] = eventually(lambda: lines_of(stack, request_id), "it is logged")
    assert len(found) == 1
    line = found[0]
    assert line["status"] == answer.status_code
    for name in ("status", "bytes", "seconds"):
        assert isinstance(line[name], (int, float)), line
    return line


def test_every_way_to_a_picture_is_logged(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/logged.jpg", jpeg(seed=61))
    key = key_of(url)
    variant = f"/variants/{fan_out(key)}/{key}/200x200-fit-q85.jpg"
    made = line_of(stack, get(stack, "/get_thumbnail", url=url))
    assert (made["cache"], made["route"], made["method"]) == ("RESIZED", "/get_thumbnail", "GET")
    assert all(isinstance(status, int) for status in made["upstream_status"])
    assert all(isinstance(seconds, float) for seconds in made["upstream_seconds"])
    assert len(made["upstream_status"]) == len(made["upstream_seconds"]) > 0

    def alone() -> dict[str, Any]:
        line = line_of(stack, get(stack, "/get_thumbnail", "HEAD", url=url))
        return line if "upstream_status" not in line else {}

    hit = eventually(alone, "nginx answers alone")
    assert made["domain"] == hit["domain"] == "127.0.0.1"
    assert (hit["cache"], hit["route"], hit["method"], hit["file"]) == (
        "HIT", "/get_thumbnail", "HEAD", variant,
    )  # fmt: skip
    # Another spelling, which the front pool reads: the same file is used.
    aside = line_of(stack, get(stack, "/iproxy.php", url=url, size="0200"))
    assert (aside["cache"], aside["route"], aside["file"]) == ("HIT", "/iproxy.php", variant)
    assert aside["upstream_status"] == [200]
    other = {"url": url, "resize_width": 40, "format_when_resize": "png"}
    get(stack, "/get_image", **other)
    png = line_of(stack, get(stack, "/get_image", **other))
    assert (png["route"], png["file"].rpartition("/")[2]) == ("/get_image", "40x0-fit-q85.png")


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("http://Shop.example/a.jpg", "Shop.example"),
        ("https%3A%2F%2Fimg.shop.example%3A8443%2Fa", "img.shop.example"),
        ("http://shop.example", "shop.example"),
        ("http%3a%2f%2fshop.example%3fx", "shop.example"),
        ("http://b%C3%BCcher.example/", "b%C3%BCcher.example"),
        ("http://user:secret@shop.example/", ""),
        ("http://secret@shop.example/", ""),
        ("http://user:123@shop.example/", ""),
        ("http%3A%2F%2Fuser%3Asecret%40shop.example/", ""),
        ("http://user%3A1%40shop.example/", ""),
        ("ftp://shop.example/", ""),
        ("http:///shop", ""),
    ],
)
def test_the_domain_is_logged_and_nothing_else_of_a_url(
    url: str, domain: str, stack: Stack
) -> None:
    answer = get_raw(stack, f"/get_image?only_send_if_local=1&url={url}")
    request_id = answer.headers["X-Request-Id"]
    (line,) = eventually(lambda: lines_of(stack, request_id), "it is logged")
    assert line["domain"] == domain
    assert "secret" not in json.dumps(line)


def test_the_tokens_client_is_logged_whoever_answers(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/whose.jpg", jpeg(seed=65))
    token = stack.cli("token", "add", "reader-in-the-log", "read").split()[-1]
    ways: set[str] = set()

    def ask(path: str = "/get_thumbnail", **parameters: Any) -> dict[str, Any]:
        answer = requests.get(
            stack.url + path, parameters, headers={"X-Image-Cloud-Token": token}, timeout=30
        )
        assert "X-Image-Cloud-Token-Client" not in answer.headers
        return line_of(stack, answer)

    def all_ways_were_seen() -> bool:
        for parameters in ({}, {"size": "0200"}, {"size": 100}):  # nginx alone, front, made anew
            line = ask(url=url, **parameters)
            if line["status"] == 401:
                return False  # the pool has not read the new token yet
            assert line["token_client"] == "reader-in-the-log", line
            ways.add(line["cache"] if "upstream_status" in line else "nginx")
        return {"nginx", "HIT", "RESIZED"} <= ways

    eventually(all_ways_were_seen, "each way is logged")
    assert ask("/explain", url=url)["token_client"] == "reader-in-the-log"  # a 403
    assert ask("/_files/x")["token_client"] == ""
    unknown = requests.get(
        stack.url + "/get_image", headers={"X-Image-Cloud-Token": "x" * 30}, timeout=30
    )
    assert line_of(stack, unknown)["token_client"] == ""
    stack.cli("token", "revoke", "reader-in-the-log")


def test_hits_have_ids_of_their_own(stack: Stack, origin: Origin) -> None:
    url = quote(origin.serve("/ids.jpg", jpeg(seed=62)), "")
    wires = [Wire(stack.listen, stack.token) for _ in range(4)]
    answers = [wire.get(f"/get_thumbnail?url={url}".encode()) for _ in range(10) for wire in wires]
    assert {status for status, _, _ in answers} == {200}
    ids = {headers["x-request-id"] for _, headers, _ in answers}
    assert len(ids) == 40
    assert all(map(ID.fullmatch, ids))
    tag = answers[-1][1]["etag"]
    for extra in ({"If-None-Match": tag}, {"Range": "bytes=1-2"}, {"Range": "bytes=9999999-"}):
        _, headers, _ = wires[0].get(f"/get_thumbnail?url={url}".encode(), headers=extra)
        assert ID.fullmatch(headers["x-request-id"])


def test_the_method_is_the_clients(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/deleted-and-logged.jpg", jpeg(seed=63))
    for method in ("DELETE", "POST"):
        line = line_of(stack, get(stack, "/delete_image", method, url=url))
        assert (line["method"], line["route"], line["code"]) == (method, "/delete_image", "")


def test_the_problem_code_is_logged(stack: Stack) -> None:
    for path, parameters, code in (
        ("/get_image", {}, "bad_parameter"),  # front's
        ("/get_image", {"url": "http://127.0.0.1:1/x.jpg"}, "origin_refused"),  # fetch's
        ("/nowhere", {}, "no_such_address"),
        ("/_files/x", {}, "no_such_address"),  # nginx's
    ):
        answer = get(stack, path, **parameters)
        assert "X-Image-Cloud-Code" not in answer.headers
        assert line_of(stack, answer)["code"] == answer.json()["code"], (path, code)
    wire = Wire(stack.listen, stack.token)
    _, headers, body = wire.get(b"/get_image", method="BREW")
    assert json.loads(body)["request_id"] == headers["x-request-id"]
    line = eventually(lambda: lines_of(stack, headers["x-request-id"]), "it is logged")[0]
    assert (line["method"], line["status"], line["code"]) == ("BREW", 501, "not_implemented")


def test_only_trusted_proxies_give_ids(stack: Stack) -> None:
    answer = get(stack, "/health", headers={"X-Request-Id": "made-by-a-client"})
    assert answer.headers["X-Request-Id"] != "made-by-a-client"


@pytest.fixture(scope="module")
def behind() -> Iterator[Stack]:
    """A stack behind a proxy on loopback."""
    settings = "clients.trusted_proxies=127.0.0.0/8;download.allow_networks=127.0.0.0/8"
    with (
        tempfile.TemporaryDirectory(prefix="image-cloud-") as folder,
        Stack(Path(folder) / "home", settings=settings) as running,
    ):
        yield running


def test_a_trusted_proxys_id_goes_everywhere(behind: Stack, origin: Origin) -> None:
    url = origin.serve("/behind.jpg", jpeg(seed=64))
    for number in range(8):  # misses, then hits of each worker
        given = f"Proxy_1.{number}-"
        answer = get(behind, "/get_thumbnail", url=url, headers={"X-Request-Id": given})
        assert answer.headers["X-Request-Id"] == given
        line_of(behind, answer)
    refused = get(behind, "/get_image", headers={"X-Request-Id": "refused-1"})
    assert refused.json()["request_id"] == "refused-1"
    eventually(
        lambda: "id=refused-1 " in (behind.home / "log/image-cloud-front.log").read_text(),
        "the pool knows it, too",
    )
    for odd in ("a b", "x" * 65, 'a"b', "a,b", "\u00e9", ""):
        answer = get(behind, "/health", headers={"X-Request-Id": odd.encode()})
        assert answer.headers["X-Request-Id"] != odd
        assert ID.fullmatch(answer.headers["X-Request-Id"])
