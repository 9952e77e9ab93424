"""Photographs through the front door: bits, sizes, headers."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from tests import origin as behave
from tests.frontdoor.client import eventually, get, jpeg, picture, problem
from tests.origin import Origin
from tests.photos import photographs
from tests.stack.running import Stack

PHOTOS = photographs()
# Enough for the contract's twenty, spread over all packages; large ones cost CI time.
CHOSEN = sorted(PHOTOS, key=lambda path: path.stat().st_size)[:: max(1, len(PHOTOS) // 24)]


def half_up(value: float) -> int:
    return max(1, int(value + 0.5))


def fitted(
    size: tuple[int, int], width: int, height: int, enlarge: bool = False
) -> tuple[int, int]:
    """The contract's size, computed the plain way."""
    scale = min(width / size[0] if width else 1e9, height / size[1] if height else 1e9)
    if scale >= 1 and not enlarge:
        return size
    return half_up(size[0] * scale), half_up(size[1] * scale)


def near(found: tuple[int, int], wanted: tuple[int, int], box: tuple[int, int]) -> bool:
    """The same size; half a pixel of floating point is not the product's fault."""
    inside = all(not side or got <= side for got, side in zip(found, box, strict=True))
    return inside and all(abs(a - b) <= 1 for a, b in zip(found, wanted, strict=True))


def test_there_are_twenty_photographs() -> None:
    assert len(CHOSEN) >= 20


@pytest.mark.parametrize("path", CHOSEN, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_photograph(path: Path, stack: Stack, origin: Origin) -> None:
    content = path.read_bytes()
    url = origin.serve(f"/{path.name}", content, content_type="text/plain")
    first = get(stack, "/get_image", url=url)
    assert first.content == content
    assert first.headers["X-Cache"] == "MISS"
    assert first.headers["Content-Type"] == Image.MIME[Image.open(path).format]  # type: ignore[index]
    again = get(stack, "/get_image", url=url)
    assert again.content == content
    assert again.headers["X-Cache"] == "HIT"
    size = Image.open(path).size
    thumbnail = get(stack, "/get_thumbnail", url=url, size=250)
    assert picture(thumbnail).format == "JPEG"
    assert near(picture(thumbnail).size, fitted(size, 250, 250), (250, 250))
    assert origin.count(f"/{path.name}") == 1


SIZE = (640, 480)


@pytest.mark.parametrize(
    ("parameters", "size"),
    [
        ({"resize_width": 320}, (320, 240)),
        ({"resize_height": 120}, (160, 120)),
        ({"resize_width": 100, "resize_height": 400}, (100, 75)),
        ({"resize_width": 333}, (333, 250)),
        ({"resize_width": 2000}, SIZE),
        ({"resize_width": 1280, "enlarge": "true"}, (1280, 960)),
        ({"resize_width": 50, "resize_height": 50, "keep_aspect_ratio": "false"}, (50, 50)),
        ({"resize_width": 50, "keep_aspect_ratio": "0"}, (50, 480)),
        ({"resize_height": 900, "keep_aspect_ratio": "0"}, (640, 900)),
        ({"resize_width": 300, "resize_height": 300, "force_to_size": "true"}, (300, 300)),
        ({"resize_width": 900, "resize_height": 700, "force_to_size": "1"}, (900, 700)),
        ({"resize_width": 1, "resize_height": 1}, (1, 1)),
    ],
)
@pytest.mark.parametrize("fmt", ["jpeg", "png", "webp", "gif", "bmp", "tiff", "avif"])
def test_every_parameter_gives_the_contracts_size(
    parameters: dict[str, Any], size: tuple[int, int], fmt: str, stack: Stack, shared_photo: str
) -> None:
    answer = get(stack, "/get_image", url=shared_photo, format_when_resize=fmt, **parameters)
    image = picture(answer)
    assert (image.size, image.format) == (size, fmt.upper())
    assert answer.headers["Content-Type"] == f"image/{fmt}"
    assert answer.headers["X-Cache"] in ("RESIZED", "HIT")


@pytest.fixture(scope="module")
def shared_photo(stack: Stack) -> Iterator[str]:
    with Origin() as origin:
        yield origin.serve("/shared.jpg", jpeg(*SIZE))


def test_a_large_jpeg_is_drawn_smaller(stack: Stack, origin: Origin) -> None:
    """60 megapixels: more than may be decoded, less than may be drawn."""
    file = io.BytesIO()
    Image.new("L", (10_000, 6_000), 90).save(file, "JPEG")
    url = origin.serve("/poster.jpg", file.getvalue())
    assert picture(get(stack, "/get_thumbnail", url=url)).size == (200, 120)
    assert get(stack, "/get_image", url=url).content == file.getvalue()
    large = get(stack, "/get_image", url=url, resize_width=5000, resize_height=5000)
    assert picture(large).size == (5000, 3000)
    square = {"resize_width": 5000, "resize_height": 5000, "keep_aspect_ratio": "false"}
    problem(get(stack, "/get_image", url=url, **square), 413, "too_many_pixels")


def test_padding_is_white_and_centred(stack: Stack, shared_photo: str) -> None:
    answer = get(
        stack, "/get_image", url=shared_photo, resize_width=400, resize_height=400,
        force_to_size="true", format_when_resize="png",
    )  # fmt: skip
    image = picture(answer).convert("RGB")
    for corner in ((0, 0), (399, 0), (0, 49), (200, 40), (200, 360), (399, 399)):
        assert image.getpixel(corner) == (255, 255, 255), corner


def test_quality_counts(stack: Stack, shared_photo: str) -> None:
    low, high = (
        get(stack, "/get_image", url=shared_photo, resize_width=300, quality=q) for q in (10, 95)
    )
    assert len(low.content) < len(high.content) / 2


def test_a_picture_is_sent_with_all_its_headers(stack: Stack, shared_photo: str) -> None:
    get(stack, "/get_thumbnail", url=shared_photo)
    for path, parameters in [
        ("/get_image", {}),
        ("/get_image", {"resize_width": 111}),
        ("/get_image", {"resize_width": 111}),
        ("/get_thumbnail", {}),
        ("/iproxy.php", {"size": 200}),
    ]:
        answer = get(stack, path, url=shared_photo, **parameters)
        headers = answer.headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert headers["Cache-Control"] == "public, max-age=86400"
        assert headers["ETag"]
        assert headers["Last-Modified"]
        assert headers["X-Cache"]
        assert headers["Accept-Ranges"] == "bytes"
        assert len(headers.get("X-Content-Type-Options", "").split(",")) == 1


def test_head_ranges_and_conditions(stack: Stack, shared_photo: str) -> None:
    for path, parameters in [("/get_image", {}), ("/get_thumbnail", {"size": 100})]:
        whole = get(stack, path, url=shared_photo, **parameters)
        head = get(stack, path, "HEAD", url=shared_photo, **parameters)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("Content-Length", "Content-Type", "ETag"):
            assert head.headers[name] == whole.headers[name]
        part = get(stack, path, url=shared_photo, headers={"Range": "bytes=10-19"}, **parameters)
        assert (part.status_code, part.content) == (206, whole.content[10:20])
        same = {"If-None-Match": whole.headers["ETag"]}
        unchanged = get(stack, path, url=shared_photo, headers=same, **parameters)
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        since = {"If-Modified-Since": whole.headers["Last-Modified"]}
        assert get(stack, path, url=shared_photo, headers=since, **parameters).status_code == 304
        far = {"Range": f"bytes={len(whole.content) + 5}-"}
        beyond = get(stack, path, url=shared_photo, headers=far, **parameters)
        problem(beyond, 416, "range_not_satisfiable")
        names = [name.lower() for name in beyond.raw.headers]
        assert len(names) == len(set(names)), "no header comes twice"


def test_a_head_on_a_new_url_downloads_too(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/head.jpg", jpeg())
    answer = get(stack, "/get_thumbnail", "HEAD", url=url)
    assert (answer.status_code, answer.content) == (200, b"")
    assert get(stack, "/get_image", url=url).headers["X-Cache"] == "HIT"


def test_no_image_makes_sure_and_sends_nothing(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/quiet.jpg", jpeg())
    for _ in range(2):
        answer = get(stack, "/get_image", url=url, no_image="true")
        assert (answer.status_code, answer.content) == (204, b"")
    assert get(stack, "/get_image", url=url, no_image=1, resize_width=20).status_code == 204
    assert get(stack, "/get_image", url=url, resize_width=20).headers["X-Cache"] == "HIT"
    assert origin.count("/quiet.jpg") == 1


def test_the_url_is_the_key_byte_for_byte(stack: Stack, origin: Origin) -> None:
    bodies = {}
    for number, target in enumerate(
        ["/p%2Fq.jpg?a=1&b=2", "/p/q.jpg?b=2&a=1", "/p/q.jpg?a=1&b=2#x"]
    ):
        body = bodies[target] = jpeg(60, 50, seed=number)
        origin.behave(target.partition("#")[0], behave.answer(200, body=body))
        assert get(stack, "/get_image", url=origin.url(target)).content == body
    for target, body in bodies.items():
        assert get(stack, "/get_image", url=origin.url(target)).content == body


def test_unknown_parameters_do_not_matter(stack: Stack, shared_photo: str) -> None:
    answer = get(stack, "/get_thumbnail", url=shared_photo, _=17, cachebuster="%zz")
    assert answer.status_code == 200


def test_originals_are_recorded(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/recorded.jpg", jpeg(70, 40))
    get(stack, "/get_image", url=url)

    def row() -> str:
        return stack.psql(
            f"SELECT format, width, height, stored_from FROM images WHERE url = '{url}'"
        )

    assert eventually(row, "the row is there").strip() == "jpeg|70|40|origin"


def test_avif_is_written_where_the_build_has_it(stack: Stack, shared_photo: str) -> None:
    answer = get(stack, "/get_image", url=shared_photo, resize_width=64, format_when_resize="avif")
    if answer.status_code == 200:
        assert answer.headers["Content-Type"] == "image/avif"
    else:
        assert "jpeg, png" in answer.json()["detail"]


def test_keep_alive_connections_serve_many(stack: Stack, shared_photo: str) -> None:
    with requests.Session() as session:
        for _ in range(20):
            answer = session.get(
                stack.url + "/get_thumbnail", params={"url": shared_photo, "token": stack.token}
            )
            assert Image.open(io.BytesIO(answer.content)).format == "JPEG"
