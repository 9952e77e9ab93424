"""Second and third sizes: companions are there already, and the ladder spares the original."""

from pathlib import Path

from image_cloud.picture.key import fan_out, key_of
from image_cloud.picture.variant import LADDER
from tests.frontdoor.client import eventually, get, jpeg, picture
from tests.origin import Origin
from tests.stack.running import Stack


def folder(stack: Stack, url: str) -> Path:
    key = key_of(url)
    return stack.home / "storage" / "variants" / fan_out(key) / key


def names(stack: Stack, url: str) -> set[str]:
    return {path.name for path in folder(stack, url).iterdir()}


def test_a_companion_is_a_hit(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/companion.jpg", jpeg(1600, 1200))
    assert get(stack, "/get_thumbnail", url=url, size=200).headers["X-Cache"] == "RESIZED"
    answer = get(stack, "/get_thumbnail", url=url, size=250)
    assert answer.headers["X-Cache"] == "HIT"
    assert picture(answer).size == (250, 188)
    assert names(stack, url) == {"200x200-fit-q85.jpg", "250x250-fit-q85.jpg"}


def test_the_ladder_is_made_at_the_second_decode_and_used_at_the_third(
    stack: Stack, origin: Origin
) -> None:
    url = origin.serve("/ladder.jpg", jpeg(1600, 1200))
    get(stack, "/get_image", url=url, resize_width=320)
    assert LADDER not in names(stack, url)
    get(stack, "/get_image", url=url, resize_width=300)
    eventually(lambda: LADDER in names(stack, url), "it comes behind the answer")
    # Were the original looked at, this would fail: nothing but the ladder is left to decode.
    key = key_of(url)
    original = stack.home / "storage/originals" / fan_out(key) / f"{key}.jpg"
    content = original.read_bytes()
    original.write_bytes(b"\xff\xd8\xff" + bytes(len(content)))
    assert picture(get(stack, "/get_image", url=url, resize_width=160)).size == (160, 120)
    original.write_bytes(content)


def test_a_broken_ladder_is_no_matter(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/broken-ladder.jpg", jpeg(1600, 1200))
    for width in (320, 300):
        get(stack, "/get_image", url=url, resize_width=width)
    eventually((folder(stack, url) / LADDER).exists, "it comes behind the answer")
    (folder(stack, url) / LADDER).write_bytes(b"\xff\xd8\xff broken")
    assert picture(get(stack, "/get_image", url=url, resize_width=160)).size == (160, 120)
    assert picture(get(stack, "/get_image", url=url, resize_width=100)).size == (100, 75)
    eventually(lambda: (folder(stack, url) / LADDER).stat().st_size > 1000, "it is made again")


def test_a_ladder_is_nothing_that_can_be_asked_for(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/hidden-ladder.jpg", jpeg(1600, 1200))
    for width in (320, 300):
        get(stack, "/get_image", url=url, resize_width=width)
    for size in (LADDER, f"../{LADDER}", f"200x200/../{LADDER}"):
        assert get(stack, "/get_thumbnail", url=url, size=size).status_code == 400
