"""AVIF and HEIC through the front door: originals as they came, thumbnails, AVIF as an output."""

from __future__ import annotations

import pytest
from PIL import Image

from tests import heif_files
from tests.frontdoor.client import eventually, get, picture
from tests.origin import Origin
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
