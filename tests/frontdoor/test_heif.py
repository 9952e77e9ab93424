"""AVIF and HEIC through the front door: originals as they came, thumbnails, AVIF as an output."""

from __future__ import annotations

import pytest
from PIL import Image

from tests import heif_files
from tests.frontdoor.client import eventually, get, jpeg, picture, problem
from tests.origin import Call, Origin
from tests.stack.running import Stack
from tests.unit.pictures import BLUE, GREEN, RED, WHITE, close, corners, quarters

NAMES = ["avif", "heic"]


@pytest.mark.parametrize("name", NAMES)
def test_an_original_and_its_thumbnail(name: str, stack: Stack, origin: Origin) -> None:
    part = heif_files.coded(quarters((640, 480)), name, heif_files.rotation(3))
    content = heif_files.heif([part], name)
    url = origin.serve(f"/phone.{name}", content, content_type="application/octet-stream")
    thumbnail = get(stack, "/get_thumbnail", url=url, size=200)
    assert picture(thumbnail).size == (150, 200)
    assert close(corners(picture(thumbnail)), [BLUE, RED, WHITE, GREEN], 14)
    original = get(stack, "/get_image", url=url)
    assert original.content == content
    assert original.headers["Content-Type"] == f"image/{name}"
    assert original.headers["X-Content-Type-Options"] == "nosniff"
    row = eventually(
        lambda: stack.psql(f"select format, width, height from images where url = '{url}'"), "a row"
    )
    assert row.strip().split("|") == [name, "480", "640"]


def test_a_phones_picture_of_many_tiles(stack: Stack, origin: Origin) -> None:
    content = heif_files.encoded(quarters((1600, 1200)), "heic", tile_size=512, thumbnails=[320])
    answer = get(stack, "/get_image", url=origin.serve("/tiles.heic", content), resize_width=400)
    assert close(corners(picture(answer)), [RED, GREEN, BLUE, WHITE], 14)


def test_avif_is_made_and_then_sent_by_nginx(stack: Stack, origin: Origin) -> None:
    content = heif_files.encoded(Image.new("RGBA", (300, 200), (*RED, 120)), "avif")
    url = origin.serve("/clear.avif", content)
    asked = {"url": url, "resize_width": 100, "format_when_resize": "avif", "quality": 70}
    made, again = get(stack, "/get_image", **asked), get(stack, "/get_image", **asked)
    assert [answer.headers["X-Cache"] for answer in (made, again)] == ["RESIZED", "HIT"]
    assert made.headers["Content-Type"] == again.headers["Content-Type"] == "image/avif"
    assert made.content == again.content
    image = picture(again)
    assert (image.format, image.size, image.mode) == ("AVIF", (100, 67), "RGBA")
    assert close(image.getpixel((50, 30)), (*RED, 120), 14)


STUB = b"\0\0\0\x18ftypavif\0\0\0\0avifmif1" + bytes(36)


@pytest.mark.parametrize("has_another", [True, False])
def test_an_origin_that_sends_no_picture_to_whoever_takes_avif(
    has_another: bool, stack: Stack, origin: Origin
) -> None:
    asked: list[str] = []

    def negotiate(call: Call) -> None:
        asked.append(call.request.headers["accept"])
        is_new = "image/avif" in asked[-1] or not has_another
        mime = "image/avif" if is_new else "image/jpeg"
        call.reply(STUB if is_new else jpeg(), headers={"Content-Type": mime, "Vary": "Accept"})

    url = origin.behave(f"/negotiated-{has_another}.jpg", negotiate)
    thumbnail = get(stack, "/get_thumbnail", url=url)
    if has_another:
        assert picture(thumbnail).size == (200, 150)
        assert get(stack, "/get_image", url=url).content == jpeg()
    else:
        problem(thumbnail, 422, "truncated_image")
    assert ["image/avif" in one for one in asked] == [True, False]
    assert "image/webp" in asked[1]
