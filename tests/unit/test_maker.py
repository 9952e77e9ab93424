"""What is made and kept of originals through a real decoder, and what is remembered of bad ones."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import threading
from pathlib import Path

import pytest

from image_cloud.config.sections import Failures as FailureSettings
from image_cloud.config.sections import Resize
from image_cloud.decoding.maker import Maker
from image_cloud.errors import Busy, ImageCloudError, UnusableImage
from image_cloud.picture.record import Original, Record
from image_cloud.picture.url import Url
from image_cloud.picture.variant import LADDER, Recipe
from image_cloud.storage.failures import RESIZE, Failures
from image_cloud.storage.local.variants import Variants
from image_cloud.storage.store import Store
from tests.decoding import maker_of
from tests.unit.pictures import loaded, quarters

URL = Url.parse("http://shop.example/a.jpg")
RECIPE = Recipe(200, 200)
SETTINGS = Resize(thumbnails_together=(200, 250))
NO_PICTURE = b"\xff\xd8\xff no picture"


def jpeg(width: int = 300, height: int = 200) -> bytes:
    file = io.BytesIO()
    quarters((width, height)).save(file, "jpeg")
    return file.getvalue()


@pytest.fixture
def failures(store: Store) -> Failures:
    return Failures(store.root, FailureSettings())


@pytest.fixture
def maker(store: Store, failures: Failures, decoder: str) -> Maker:
    return maker_of(store, decoder, SETTINGS, failures)


def keep(store: Store, content: bytes, stored_at: float = 10.0) -> Original:
    sha256 = hashlib.sha256(content).hexdigest()
    record = Record(
        URL.key, URL.text, URL.host, "jpeg", 1, 1, len(content), sha256, stored_at, "origin"
    )
    with store.originals.new_file() as file:
        file.write(content)
        return store.place(file, record)


def remembered(failures: Failures) -> ImageCloudError | None:
    return failures.recall(URL.key, RESIZE)


def test_a_variant_is_kept_with_its_companions(store: Store, maker: Maker) -> None:
    original = keep(store, jpeg())
    assert maker.make(original, RECIPE) is None
    assert store.variants.names(URL.key) == {RECIPE.name, Recipe(250, 250).name}
    assert loaded(store.variants.path(URL.key, RECIPE.name).read_bytes()).size == (200, 133)
    made_at = store.variants.path(URL.key, RECIPE.name).stat().st_mtime_ns
    assert maker.make(original, RECIPE) is None
    assert store.variants.path(URL.key, RECIPE.name).stat().st_mtime_ns == made_at, "it was there"


def test_a_second_look_leaves_a_ladder_that_further_sizes_are_made_from(
    store: Store, maker: Maker
) -> None:
    original = keep(store, jpeg(1800, 1200))
    maker.make(original, Recipe(400, 400))
    assert LADDER not in store.variants.names(URL.key)
    maker.make(original, Recipe(300, 300))
    assert LADDER in store.variants.names(URL.key)
    store.originals.path(original).write_bytes(NO_PICTURE)
    assert maker.make(Original(URL.key, "jpg"), Recipe(120, 120)) is None
    assert loaded(store.variants.path(URL.key, Recipe(120, 120).name).read_bytes()).size == (
        120,
        80,
    )


def test_a_variant_that_cannot_be_kept_is_returned(
    tmp_path: Path, store: Store, maker: Maker
) -> None:
    original = keep(store, jpeg())
    (tmp_path / "variants" / ".incoming").rmdir()
    data = maker.make(original, RECIPE)
    assert data
    assert loaded(data).size == (200, 133)


@pytest.mark.parametrize("told", [(300, 200), (200, 300), (1, 1)])
def test_a_size_that_is_no_longer_the_originals_costs_nothing(
    told: tuple[int, int], store: Store, maker: Maker
) -> None:
    original = dataclasses.replace(keep(store, jpeg()), size=told)
    assert maker.make(original, RECIPE) is None
    assert store.variants.has(original.stem, RECIPE.name)


def test_a_picture_that_cannot_be_resized_is_remembered(
    store: Store, maker: Maker, failures: Failures
) -> None:
    original = keep(store, NO_PICTURE)
    with pytest.raises(UnusableImage) as first:
        maker.make(original, RECIPE)
    assert isinstance(remembered(failures), type(first.value))
    keep(store, jpeg(), stored_at=11.0)
    with pytest.raises(type(first.value)):
        maker.make(original, RECIPE)


def test_a_picture_that_is_deleted_meanwhile_is_tried_again(
    maker: Maker, failures: Failures
) -> None:
    with pytest.raises(Busy):
        maker.make(Original(URL.key, "jpg"), RECIPE)
    assert remembered(failures) is None


def test_a_variant_of_what_was_replaced_meanwhile_does_not_stay(store: Store, decoder: str) -> None:
    class Replacing(Variants):
        def keep(self, key: str, files: dict[str, bytes]) -> dict[str, OSError]:
            failed = super().keep(key, files)
            keep(store, jpeg(100), stored_at=11.0)
            return failed

    original = keep(store, jpeg())
    replacing = dataclasses.replace(store, variants=Replacing(store.root))
    assert maker_of(replacing, decoder, SETTINGS).make(original, RECIPE)
    assert store.variants.names(URL.key) == set()


def test_bytes_on_no_disk_are_resized_and_remembered_as_well(
    store: Store, maker: Maker, failures: Failures
) -> None:
    original = Original(URL.key, "jpg")
    assert loaded(maker.resize(jpeg(), original, RECIPE)).size == (200, 133)
    with pytest.raises(UnusableImage):
        maker.resize(NO_PICTURE, original, RECIPE)
    assert isinstance(remembered(failures), UnusableImage)
    assert store.variants.names(URL.key) == set()


def test_many_who_ask_at_once_cost_one_decode_of_each_size(
    store: Store, decoder: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    original = keep(store, jpeg(1800, 1200))
    recipes = [RECIPE, Recipe(250, 250), Recipe(90, 90)]
    makers = [maker_of(store, decoder, SETTINGS) for _ in range(2)]  # two processes' worth
    threads = [
        threading.Thread(target=makers[number % 2].make, args=(original, recipe))
        for number, recipe in enumerate(recipes * 8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {recipe.name for recipe in recipes} <= store.variants.names(URL.key)
    made = [line for line in caplog.messages if line.startswith("event=resized")]
    assert 2 <= len(made) <= 3, "200 and 250 may come together or apart"
