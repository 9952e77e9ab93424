"""Crop, trim and background through the front door: pixels, the second answer from nginx, refusals."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from tests.frontdoor.client import get, picture, problem
from tests.origin import Origin
from tests.stack.running import Stack
from tests.unit.pictures import BLUE, GREEN, RED, WHITE, close, corners, quarters

BOX = {"resize_width": 60, "resize_height": 60}
ORANGE = (255, 128, 0)


def product(format: str = "png", orientation: int = 1) -> bytes:
    """Return four colours of 160 x 120 pixels in a white border, the lower right one of them grey."""
    image = Image.new("RGB", (300, 300), "white")
    inside = quarters()
    inside.paste((90, 90, 90), (80, 60, 160, 120))
    image.paste(inside, (31, 107))
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    image.save(file, format, exif=exif)
    return file.getvalue()


@pytest.fixture
def url(origin: Origin) -> str:
    return origin.serve("/product.png", product())


def ask(stack: Stack, url: str, **parameters: Any) -> Image.Image:
    return picture(get(stack, "/get_image", url=url, **{"format_when_resize": "png"} | parameters))


@pytest.mark.parametrize(
    ("parameters", "seen"),
    [
        ({}, [RED, GREEN, BLUE, (90, 90, 90)]),
        ({"gravity": "west"}, [RED, RED, BLUE, BLUE]),
        ({"gravity": "East"}, [GREEN, GREEN, (90, 90, 90), (90, 90, 90)]),
        ({"focus": "0.1,0.9"}, [RED, RED, BLUE, BLUE]),
        ({"focus": "0.5,0.5"}, [RED, GREEN, BLUE, (90, 90, 90)]),
    ],
)
def test_what_is_kept(
    parameters: dict[str, str], seen: list[tuple[int, ...]], stack: Stack, url: str
) -> None:
    cropped = ask(
        stack, url, resize_mode="crop", trim=1, resize_width=40, resize_height=60, **parameters
    )
    assert (cropped.size, close(corners(cropped), seen)) == ((40, 60), True)


def test_nginx_answers_the_second_request(stack: Stack, url: str) -> None:
    for parameters in (
        {"resize_mode": "crop", "focus": "0.25,1"}, {"trim": "true", "background": "ff8000"},
        {"resize_mode": "pad", "background": "ff8000", "trim": "1", "trim_tolerance": "3"},
    ):  # fmt: skip
        first = get(stack, "/get_image", url=url, **BOX, **parameters)
        assert (first.status_code, first.headers["X-Cache"]) == (200, "RESIZED")
        second = get(stack, "/get_image", url=url, **BOX, **parameters)
        assert (second.content, second.headers["X-Cache"]) == (first.content, "HIT")


def test_what_has_no_effect_makes_no_further_variant(stack: Stack, url: str) -> None:
    assert get(stack, "/get_image", url=url, **BOX).headers["X-Cache"] == "RESIZED"
    for parameters in (
        {"gravity": "north"}, {"focus": "0,0"}, {"trim_tolerance": "99"}, {"background": "FFFFFF"},
        {"resize_mode": "fit"}, {"trim": "false"},
    ):  # fmt: skip
        assert get(stack, "/get_image", url=url, **BOX, **parameters).headers["X-Cache"] == "HIT"


def test_trim_alone_cuts_and_writes(stack: Stack, url: str) -> None:
    left = ask(stack, url, trim="true")
    assert (left.format, left.size) == ("PNG", (160, 120))
    assert close(corners(left), [RED, GREEN, BLUE, (90, 90, 90)], 0)
    assert get(stack, "/get_image", url=url, trim="true").headers["Content-Type"] == "image/jpeg"
    untouched = get(stack, "/get_image", url=url, background="ff8000", gravity="north", trim=0)
    assert untouched.content == product()


def test_the_upright_picture_counts(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/turned.png", product(orientation=6))
    cropped = ask(
        stack, url, trim=1, resize_mode="crop", gravity="north", resize_width=40, resize_height=20
    )
    assert close(corners(cropped), [BLUE, RED, BLUE, RED])


def test_background_is_the_canvas_and_under_transparency(stack: Stack, origin: Origin) -> None:
    file = io.BytesIO()
    Image.new("RGBA", (40, 20), (1, 2, 3, 0)).save(file, "PNG")
    url = origin.serve("/clear.png", file.getvalue())
    for mode, format in (("pad", "png"), ("pad", "jpeg"), ("fit", "bmp"), ("crop", "jpeg")):
        shown = ask(
            stack, url, **BOX, resize_mode=mode, background="Ff8000", format_when_resize=format
        )
        assert close(corners(shown.convert("RGB")), [ORANGE] * 4), (mode, format)
    kept = ask(stack, url, **BOX, resize_mode="crop", background="ff8000").convert("RGBA")
    assert {colour[3] for colour in corners(kept)} == {0}
    assert close(corners(ask(stack, url, **BOX, resize_mode="pad")), [WHITE] * 4)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"resize_mode": "crop", "resize_height": ""}, "resize_mode"),
        ({"resize_mode": "pad", "resize_width": 0}, "resize_mode"),
        ({"resize_mode": "crop", "keep_aspect_ratio": "false"}, "keep_aspect_ratio"),
        ({"resize_mode": "stretch", "keep_aspect_ratio": "true"}, "keep_aspect_ratio"),
        ({"resize_mode": "fit", "force_to_size": "true"}, "force_to_size"),
        ({"gravity": "north", "focus": "0.5,0"}, "focus"),
        ({"focus": "0.5,1.2"}, "focus"),
        ({"trim": "1", "trim_tolerance": "256"}, "trim_tolerance"),
        ({"background": "red"}, "background"),
    ],
)
def test_what_contradicts_itself_is_refused(
    parameters: dict[str, Any], named: str, stack: Stack, url: str
) -> None:
    answer = get(stack, "/get_image", url=url, **BOX | parameters)
    assert problem(answer, 400, "bad_parameter")["detail"].startswith(f"{named}: ")
