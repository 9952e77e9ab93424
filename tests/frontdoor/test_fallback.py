"""`fallback=true`: result pages without holes."""

from __future__ import annotations

import io
from typing import Any

import pytest
import requests
from PIL import Image

from tests import origin as behave
from tests.frontdoor.client import get, jpeg, picture, problem
from tests.origin import Origin
from tests.stack.running import Stack
from tests.unit.pictures import close, pixel

GREY = (0xDD, 0xDD, 0xDD)


def replaced(answer: requests.Response) -> Image.Image:
    """Check what all such answers have in common; return the picture."""
    assert (answer.status_code, answer.headers.get("X-Cache")) == (200, "FALLBACK"), answer.text
    assert answer.headers["Cache-Control"] == "max-age=60"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not {"ETag", "Last-Modified", "Retry-After", "Accept-Ranges"} & set(answer.headers)
    image = Image.open(io.BytesIO(answer.content))
    image.load()
    assert answer.headers["Content-Type"] == Image.MIME[str(image.format)]
    assert close(pixel(image.convert("RGB"), 0, 0), GREY)
    return image


@pytest.mark.parametrize(
    ("path", "parameters", "size", "format"),
    [
        ("/get_image", {}, (400, 400), "PNG"),
        ("/get_image", {"resize_width": 90, "resize_height": 40}, (90, 40), "JPEG"),
        ("/get_image", {"resize_height": 50, "format_when_resize": "webp"}, (50, 50), "WEBP"),
        ("/get_image", {"resize_width": 70, "resize_height": 30, "resize_mode": "crop"}, (70, 30), "JPEG"),
        ("/get_thumbnail", {}, (200, 200), "JPEG"), ("/iproxy.php", {"size": 800}, (800, 800), "JPEG"),
    ],
)  # fmt: skip
def test_in_the_size_that_was_asked_for(
    path: str,
    parameters: dict[str, Any],
    size: tuple[int, int],
    format: str,
    stack: Stack,
    origin: Origin,
) -> None:
    url = origin.url(f"/none-{size[0]}.jpg")
    for _ in range(3):  # the origin is asked, then its answer remembered
        image = replaced(get(stack, path, url=url, fallback="true", **parameters))
        assert (image.size, image.format) == (size, format)
    head = get(stack, path, "HEAD", url=url, fallback="1", **parameters)
    assert (head.status_code, head.content, head.headers["X-Cache"]) == (200, b"", "FALLBACK")


def test_whatever_keeps_the_picture_away(stack: Stack, origin: Origin) -> None:
    broken = origin.serve("/broken.jpg", jpeg(300, 200)[:400])
    page = origin.serve("/page.jpg", b"<html>sold out</html>")
    blocked = origin.serve("/blocked.jpg", jpeg(300, 200))
    assert get(stack, "/delete_image", "DELETE", url=blocked, block="true").status_code == 200
    ill = origin.url("/ill.jpg")
    origin.behave("/ill.jpg", behave.answer(500))
    away = ("http://127.0.0.1:1/x.jpg", "http://10.0.0.1/x.jpg", "ftp://shop.example/x.jpg")
    for url in (broken, page, blocked, ill, *away):
        assert replaced(get(stack, "/get_thumbnail", url=url, fallback=1)).size == (200, 200), url
        assert get(stack, "/get_thumbnail", url=url, fallback=0).status_code >= 400
    local = get(stack, "/get_image", url=origin.url("/far.jpg"), only_send_if_local=1, fallback=1)
    assert replaced(local).size == (400, 400)


def test_a_picture_that_is_there_is_sent(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/there.jpg", jpeg(300, 200))
    first = get(stack, "/get_thumbnail", url=url, fallback="true")
    assert (picture(first).size, first.headers["X-Cache"]) == ((200, 133), "RESIZED")
    again = get(stack, "/get_thumbnail", url=url, fallback="true")
    assert (again.content, again.headers["X-Cache"]) == (first.content, "HIT")
    assert get(stack, "/get_thumbnail", url=url).headers["ETag"] == again.headers["ETag"]


def test_what_the_client_has_to_mend_stays_an_error(stack: Stack, origin: Origin) -> None:
    url = origin.url("/none.jpg")
    problem(get(stack, "/get_image", url=url, fallback="maybe"), 400, "bad_parameter")
    problem(get(stack, "/get_image", url="", fallback="1"), 400, "bad_parameter")
    problem(get(stack, "/get_thumbnail", url=url, size=3, fallback="1"), 400, "bad_parameter")
    forbidden = {"url": "ftp://shop.example/", "resize_width": "x", "fallback": "1"}
    problem(get(stack, "/get_image", **forbidden), 400, "bad_parameter")
    problem(get(stack, "/get_image", "POST", url=url, fallback="1"), 405, "method_not_allowed")
    problem(get(stack, "/get_image", url=url, no_image=1, fallback=1), 404, "origin_not_found")
    anonymous = requests.get(f"{stack.url}/get_image", {"url": url, "fallback": "1"}, timeout=60)
    problem(anonymous, 401, "token_missing")
