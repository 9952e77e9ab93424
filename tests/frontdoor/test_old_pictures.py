"""`[refresh] after`: old pictures are asked for behind the answers, or where nobody asks for them."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from image_cloud.picture.key import fan_out, key_of
from tests import origin as behave
from tests.conftest import SETTINGS
from tests.frontdoor.client import eventually, get, jpeg, tag_of
from tests.origin import Origin, Versions
from tests.stack.running import Stack

OLD, NEW = jpeg(200, 150, seed=11), jpeg(160, 120, seed=12)
HOUR_S = 3600
QUICK = "failures.not_found_keep=1 s;failures.first_keep=100 ms;failures.longest_keep=200 ms"


@pytest.fixture(scope="module")
def hourly() -> Iterator[Stack]:
    """A stack whose pictures are old after an hour: nothing happens unasked."""
    yield from started("refresh.after=1 h")


@pytest.fixture(scope="module")
def hasty() -> Iterator[Stack]:
    """A stack whose pictures are old at once, and deleted when they are gone."""
    yield from started(f"refresh.after=1 s;refresh.gone_after=2;refresh.delete_gone=true;{QUICK}")


def started(settings: str) -> Iterator[Stack]:
    with (
        tempfile.TemporaryDirectory(prefix="image-cloud-") as folder,
        Stack(Path(folder) / "home", settings=f"{SETTINGS};{settings}") as running,
    ):
        yield running


def checked(stack: Stack, url: str) -> Path:
    key = key_of(url)
    return stack.home / "storage/checked" / fan_out(key) / key


@pytest.mark.parametrize(
    ("path", "more"),
    [("/get_thumbnail", {"size": 100}), ("/get_image", {"resize_width": 40}), ("/get_image", {})],
)
def test_the_answer_comes_at_once_and_the_refresh_behind_it(
    hourly: Stack, origin: Origin, path: str, more: dict[str, Any]
) -> None:
    shop = Versions(OLD, ETag='"1"')
    place = f"/behind{len(more)}{path}.jpg"
    url = origin.behave(place, shop)
    assert get(hourly, "/refresh_image", "POST", url=url).status_code == 200
    before = get(hourly, path, url=url, max_age=HOUR_S, **more)
    shop.put(NEW, ETag='"2"')
    gate = behave.Gate(shop)
    origin.behave(place, gate)
    count = origin.count(place)
    long_ago = time.time() - 2 * HOUR_S
    os.utime(checked(hourly, url), (long_ago, long_ago))

    def is_asked() -> bool:
        answer = get(hourly, path, url=url, **more)
        assert (answer.headers["X-Cache"], answer.content) == ("HIT", before.content)
        return origin.count(place) > count

    eventually(is_asked, "the origin is asked")
    gate.open()
    eventually(
        lambda: get(hourly, path, url=url, **more).content != before.content, "the new one is sent"
    )
    eventually(lambda: is_young(hourly, url), "its check is noted")
    for _ in range(3):
        get(hourly, path, url=url, **more)
    assert origin.count(place) == count + 1


def is_young(stack: Stack, url: str) -> bool:
    file = checked(stack, url)
    return file.exists() and time.time() - file.stat().st_mtime < HOUR_S


def test_the_age_of_a_young_picture_is_noted(hourly: Stack, origin: Origin) -> None:
    url = origin.serve("/young.jpg", OLD)
    for _ in range(2):
        get(hourly, "/get_thumbnail", url=url)
    eventually(lambda: is_young(hourly, url), "the age of a young picture is noted")
    assert origin.count("/young.jpg") == 1


def test_nobody_has_to_ask(hasty: Stack, origin: Origin) -> None:
    shop = Versions(OLD, ETag='"1"')
    url = origin.behave("/unasked.jpg", shop)
    assert get(hasty, "/get_image", url=url).content == OLD
    eventually(lambda: 304 in shop.sent, "the origin is asked")
    shop.put(NEW, ETag='"2"')
    eventually(lambda: shop.sent.count(200) == 2, "the new one comes")
    eventually(
        lambda: get(hasty, "/get_image", url=url).headers["ETag"] == tag_of(NEW), "it is sent"
    )


def test_what_is_gone_for_good_is_deleted(hasty: Stack, origin: Origin) -> None:
    url, other = origin.serve("/gone.jpg", OLD), origin.serve("/back.jpg", NEW)
    for one in (url, other):
        assert get(hasty, "/get_image", url=one).status_code == 200
    origin.behave("/gone.jpg", behave.answer_404)
    origin.behave("/back.jpg", behave.answer(500))
    eventually(lambda: origin.count("/back.jpg") >= 4, "one that only fails is asked for")

    def explained(one: str) -> Any:
        return get(hasty, "/explain", url=one).json()

    eventually(lambda: explained(url)["original"] is None, "it is deleted")
    assert explained(url)["tombstone"]["deleted_at"] > 0
    assert explained(other)["original"]
    assert explained(other)["gone"] is None
