"""Files that end too soon: a length that came in full is believed, pixels that are missing are not."""

import io

import pytest
from PIL import Image

from tests import origin as behave
from tests.frontdoor.client import get, jpeg, picture, problem
from tests.origin import Origin
from tests.stack.running import Stack


def encoded(fmt: str, seed: int) -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(jpeg(320, 240, seed))).save(file, fmt)
    return file.getvalue()


@pytest.mark.parametrize(
    ("fmt", "lost"), [("JPEG", 1), ("JPEG", 2), ("PNG", 4), ("PNG", 12), ("GIF", 1), ("GIF", 2)]
)
def test_a_missing_end_marker_costs_nothing(
    fmt: str, lost: int, stack: Stack, origin: Origin
) -> None:
    whole = encoded(fmt, 700 + lost)
    path = f"/{fmt}-{lost}"
    url = origin.serve(path, whole[:-lost])
    assert get(stack, "/get_image", url=url).content == whole[:-lost]
    there = origin.serve(path + "-whole", whole)
    thumbnails = [get(stack, "/get_thumbnail", url=one, size=200) for one in (url, there)]
    assert picture(thumbnails[0]).tobytes() == picture(thumbnails[1]).tobytes()


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
def test_missing_pixels_cost_the_variant_but_not_the_original(
    fmt: str, stack: Stack, origin: Origin
) -> None:
    half = encoded(fmt, 710)
    half = half[: len(half) // 2]
    url = origin.serve(f"/half-{fmt}", half)
    body = problem(get(stack, "/get_thumbnail", url=url, size=200), 422, "truncated_image")
    assert fmt.lower() in body["detail"]
    assert get(stack, "/get_image", url=url).content == half
    assert origin.count(f"/half-{fmt}") == 1


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "GIF"])
def test_without_a_length_an_end_has_to_be_there(fmt: str, stack: Stack, origin: Origin) -> None:
    whole = encoded(fmt, 720)
    with_trailer = whole + b"\r\n<!-- cached -->"
    url = origin.behave(f"/trailer-{fmt}", behave.without_length(with_trailer))
    assert get(stack, "/get_image", url=url).content == with_trailer
    url = origin.behave(f"/cut-{fmt}", behave.without_length(whole[:-9]))
    body = problem(get(stack, "/get_image", url=url), 422, "truncated_image")
    assert fmt.lower() in body["detail"]
