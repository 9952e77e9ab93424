"""What the resize pool makes and keeps, and what it remembers of pictures that it cannot."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from image_cloud.config.sections import Failures as FailureSettings
from image_cloud.config.sections import Resize
from image_cloud.errors import (
    Busy,
    CorruptImage,
    ImageCloudError,
    StorageUnavailable,
    UnusableImage,
)
from image_cloud.picture.record import Original, Record
from image_cloud.picture.url import Url
from image_cloud.picture.variant import Recipe
from image_cloud.request.internal import ResizeRequest
from image_cloud.request.steps import RESIZED, SendData, SendFile, SendNothing
from image_cloud.resize_pool.maker import Maker
from image_cloud.resize_pool.marks import Attempts
from image_cloud.storage.failures import RESIZE, Failures
from image_cloud.storage.store import Store
from image_cloud.storage.variants import Variants, variant_path
from tests.unit.pictures import loaded, quarters

URL = Url.parse("http://shop.example/a.jpg")
IDENTITY, RECIPE = "a" * 32, Recipe(200, 200)
SETTINGS = Resize(thumbnails_together=(200, 250))


def jpeg(width: int = 300) -> bytes:
    file = io.BytesIO()
    quarters((width, 200)).save(file, "jpeg")
    return file.getvalue()


class Seen(Attempts):
    """Notes which requests were marked."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ids: list[str] = []

    @contextmanager
    def under_way(self, request_id: str, key: str) -> Iterator[None]:
        self.ids.append(f"{request_id} {key}")
        with super().under_way(request_id, key):
            yield


@pytest.fixture
def failures(store: Store) -> Failures:
    return Failures(store.root, FailureSettings())


@pytest.fixture
def attempts(tmp_path: Path) -> Seen:
    (tmp_path / "decoding").mkdir()
    return Seen(tmp_path / "decoding")


@pytest.fixture
def maker(store: Store, failures: Failures, attempts: Seen) -> Maker:
    return Maker(store, failures, attempts, SETTINGS)


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


def test_a_variant_is_kept_with_its_companions(store: Store, maker: Maker, attempts: Seen) -> None:
    original = keep(store, jpeg())
    asked = ResizeRequest(original, RECIPE)
    sent = SendFile(variant_path(URL.key, RECIPE.name), RESIZED)
    assert maker.make(asked, IDENTITY) == sent
    assert store.variants.names(URL.key) == {RECIPE.name, Recipe(250, 250).name}
    assert loaded(store.variants.path(URL.key, RECIPE.name).read_bytes()).size == (200, 133)
    assert attempts.ids == [f"{IDENTITY} {URL.key}"]
    assert maker.make(asked, IDENTITY) == sent
    assert maker.make(ResizeRequest(original, RECIPE, no_image=True), IDENTITY) == SendNothing(
        RESIZED
    )
    assert len(attempts.ids) == 1, "it was there"


def test_a_variant_that_cannot_be_kept_is_returned(
    tmp_path: Path, store: Store, maker: Maker
) -> None:
    original = keep(store, jpeg())
    (tmp_path / "variants" / ".incoming").rmdir()
    with pytest.raises(StorageUnavailable):
        maker.make(ResizeRequest(original, RECIPE, no_image=True), IDENTITY)
    step = maker.make(ResizeRequest(original, RECIPE), IDENTITY)
    assert isinstance(step, SendData)
    assert (loaded(step.data).size, step.extension, step.source) == ((200, 133), "jpg", RESIZED)


def test_a_picture_that_cannot_be_resized_is_remembered(
    store: Store, maker: Maker, failures: Failures
) -> None:
    original = keep(store, b"\xff\xd8\xff no picture")
    with pytest.raises(UnusableImage):
        maker.make(ResizeRequest(original, RECIPE), IDENTITY)
    assert isinstance(remembered(failures), UnusableImage)


def test_a_picture_that_is_deleted_meanwhile_is_tried_again(
    maker: Maker, failures: Failures
) -> None:
    with pytest.raises(Busy):
        maker.make(ResizeRequest(Original(URL.key, "jpg"), RECIPE), IDENTITY)
    assert remembered(failures) is None


def test_a_variant_of_what_was_replaced_meanwhile_does_not_stay(
    store: Store, failures: Failures, attempts: Seen
) -> None:
    class Replacing(Variants):
        def keep(self, key: str, files: dict[str, bytes]) -> dict[str, OSError]:
            failed = super().keep(key, files)
            keep(store, jpeg(100), stored_at=11.0)
            return failed

    original = keep(store, jpeg())
    replacing = dataclasses.replace(store, variants=Replacing(store.root))
    maker = Maker(replacing, failures, attempts, SETTINGS)
    assert isinstance(maker.make(ResizeRequest(original, RECIPE), IDENTITY), SendData)
    assert store.variants.names(URL.key) == set()


def test_bytes_on_no_disk_are_resized_under_the_same_watch(
    store: Store, maker: Maker, failures: Failures, attempts: Seen
) -> None:
    asked = ResizeRequest(Original(URL.key, "jpg"), RECIPE)
    assert loaded(maker.resize(asked, io.BytesIO(jpeg()), IDENTITY).data).size == (200, 133)
    assert attempts.ids == [f"{IDENTITY} {URL.key}"]
    with pytest.raises((CorruptImage, UnusableImage)):
        maker.resize(asked, io.BytesIO(b"\xff\xd8\xff no picture"), IDENTITY)
    assert isinstance(remembered(failures), UnusableImage)
    assert store.variants.names(URL.key) == set()
