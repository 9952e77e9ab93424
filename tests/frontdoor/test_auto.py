"""`auto`: the request's Accept decides on the format, and every answer says so."""

from __future__ import annotations

import io
import random
import time
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from PIL import Image

from image_cloud.picture.key import fan_out, key_of
from tests.frontdoor.client import DEADLINE_S, get, jpeg, picture, problem, tag_of
from tests.origin import Origin
from tests.stack.running import Stack

WEBP = {"Accept": "image/avif,image/webp,*/*;q=0.8"}
ANY = {"Accept": "*/*"}
WAYS: list[tuple[str, dict[str, Any]]] = [
    ("/get_thumbnail", {"format": "auto"}),
    ("/iproxy.php", {"format": "AUTO", "size": 100}),
    ("/get_image", {"resize_width": 120, "format_when_resize": "auto"}),
]


def noise() -> bytes:
    """Return a picture that is smaller as a JPEG, and small enough to be left in its size."""
    file = io.BytesIO()
    Image.frombytes("L", (150, 100), random.Random(7).randbytes(15_000)).save(file, "PNG")
    return file.getvalue()


def clear_noise() -> bytes:
    """Return a picture that would be smaller as a JPEG, but for what shines through."""
    with Image.open(io.BytesIO(noise())) as opaque:
        image = Image.merge("LA", [opaque, Image.new("L", opaque.size, 99)])
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def names_of(stack: Stack, url: str) -> set[str]:
    key = key_of(url)
    return {path.name for path in (stack.home / f"storage/variants/{fan_out(key)}/{key}").iterdir()}


@pytest.mark.parametrize(("path", "asked"), WAYS)
def test_accept_decides(path: str, asked: dict[str, Any], stack: Stack, origin: Origin) -> None:
    url = origin.serve(f"/auto{path}.jpg", jpeg(300, 200))
    tags = set()
    for headers, kind in ((WEBP, "webp"), (ANY, "jpeg"), ({"Accept": "image/webp;q=0"}, "jpeg")):
        for _ in range(4):  # made, sent by the front pool, and by nginx alone
            answer = get(stack, path, url=url, headers=headers, **asked)
            assert answer.headers["Content-Type"] == f"image/{kind}"
            assert Image.MIME[str(picture(answer).format)] == f"image/{kind}"
            assert answer.headers["Vary"] == "Accept"
            assert answer.headers["ETag"] == tag_of(answer.content)
            head = get(stack, path, "HEAD", url=url, headers=headers, **asked)
            same = ("Content-Type", "Content-Length", "ETag", "Vary", "Cache-Control")
            assert [head.headers[one] for one in same] == [answer.headers[one] for one in same]
            tagged = headers | {"If-None-Match": answer.headers["ETag"]}
            unchanged = get(stack, path, url=url, headers=tagged, **asked)
            assert (unchanged.status_code, unchanged.headers["Vary"]) == (304, "Accept")
            far = get(stack, path, url=url, headers=headers | {"Range": "bytes=999999-"}, **asked)
            problem(far, 416, "range_not_satisfiable")
            assert far.headers["Vary"] == "Accept"
        tags.add(answer.headers["ETag"])
    assert len(tags) == 2
    other = get(stack, path, url=url, headers=ANY | {"If-None-Match": ", ".join(tags)}, **asked)
    assert other.status_code == 304


def test_a_jpeg_that_is_smaller_takes_the_place(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/noise.png", noise(), content_type="image/png")
    answers = [get(stack, "/get_thumbnail", url=url, format="auto", headers=WEBP) for _ in range(6)]
    for answer in answers:
        assert (picture(answer).format, answer.headers["Content-Type"]) == ("JPEG", "image/jpeg")
        assert answer.headers["Vary"] == "Accept"
    assert [answer.headers["X-Cache"] for answer in answers] == ["RESIZED"] + ["HIT"] * 5
    assert "200x200-fit-q85-auto.jpg" in names_of(stack, url)
    assert "200x200-fit-q85-auto.webp" not in names_of(stack, url)
    forced = get(stack, "/get_thumbnail", url=url, format="webp", headers=ANY)
    assert (picture(forced).format, forced.headers.get("Vary")) == ("WEBP", None)
    assert len(forced.content) > len(answers[0].content)
    again = get(stack, "/get_thumbnail", url=url, format="auto", headers=WEBP)
    assert again.content == answers[0].content


def test_what_shines_through_stays(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/clear.png", clear_noise(), content_type="image/png")
    for _ in range(3):
        answer = get(stack, "/get_thumbnail", url=url, format="auto", headers=WEBP)
        assert (picture(answer).format, picture(answer).mode) == ("WEBP", "RGBA")
    assert picture(get(stack, "/get_thumbnail", url=url, format="auto")).format == "JPEG"


def test_nothing_is_decided_where_nothing_is_resized(stack: Stack, origin: Origin) -> None:
    content = jpeg(80, 60)
    url = origin.serve("/whole.jpg", content)
    for _ in range(2):
        answer = get(stack, "/get_image", url=url, format_when_resize="auto", headers=WEBP)
        assert (answer.content, answer.headers.get("Vary")) == (content, None)
    plain = get(stack, "/get_thumbnail", url=url, headers=WEBP)
    assert (picture(plain).format, plain.headers.get("Vary")) == ("JPEG", None)


def test_errors_say_so_too(stack: Stack, origin: Origin) -> None:
    nothing, found = origin.url("/nothing.jpg"), origin.serve("/found.jpg", jpeg(80, 60))
    for path, asked in WAYS:
        for more, status in (
            ({"url": nothing}, 404),
            ({"url": nothing, "fallback": "1"}, 200),
            ({"url": "ftp://a/"}, 403),
            ({}, 400),
            ({"url": found, "headers": {"Authorization": "Bearer wrong"}}, 400),
        ):
            for method in ("GET", "HEAD"):
                answer = get(stack, path, method, **asked, **more)
                assert (answer.status_code, answer.headers.get("Vary")) == (status, "Accept"), more
        target = f"{stack.url}{path}?{urlencode({'url': found, **asked})}"
        none = requests.get(target, timeout=DEADLINE_S)
        assert (none.status_code, none.headers["Vary"]) == (401, "Accept")
        put = requests.put(target, headers={"X-Image-Cloud-Token": stack.token}, timeout=DEADLINE_S)
        assert (put.status_code, put.headers["Vary"]) == (405, "Accept")
    odd = get(stack, "/get_image", url=found, format_when_resize="auto", resize_width="wide")
    assert (odd.status_code, odd.headers.get("Vary")) == (400, "Accept")


def test_a_signed_url_opens_every_format(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/signed-auto.jpg", jpeg(300, 200))
    stack.cli("token", "add", "auto-page", "read")
    path = "/get_thumbnail?" + urlencode({"url": url, "format": "auto"})
    signed = stack.cli("sign", "--client", "auto-page", "--expires", "1 h", path).strip()
    deadline = time.monotonic() + DEADLINE_S
    while requests.get(signed, timeout=DEADLINE_S).status_code != 200:
        assert time.monotonic() < deadline, "the client is never known"
    for headers, kind in ((WEBP, "webp"), (ANY, "jpeg")):
        for _ in range(2):
            answer = requests.get(signed, headers=headers, timeout=DEADLINE_S)
            assert answer.headers["Content-Type"] == f"image/{kind}"
            assert answer.headers["Vary"] == "Accept"
    broken = requests.get(signed + "0", headers=WEBP, timeout=DEADLINE_S)
    assert (broken.status_code, broken.headers["Vary"]) == (403, "Accept")
    stack.cli("token", "revoke", "auto-page")
