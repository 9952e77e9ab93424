"""Pictures that were fetched with credentials: their files' names say so, and whoever sends them follows."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import falcon
import pytest

from falcon_app.exchange import respond
from image_cloud.config import Config
from image_cloud.config.sections import Failures as FailureSettings
from image_cloud.config.sections import Http, Resize
from image_cloud.fetch.fetcher import Fetcher
from image_cloud.fetch.finder import Finder
from image_cloud.fetch.load import Found
from image_cloud.node_files.nginx_node import render_node
from image_cloud.picture.record import Original, Record
from image_cloud.picture.url import Url
from image_cloud.picture.variant import Recipe
from image_cloud.request.internal import FetchRequest
from image_cloud.request.params import ImageRequest
from image_cloud.request.steps import HIT, RESIZED, SendData, SendFile, Step
from image_cloud.storage.failures import Failures
from image_cloud.storage.local.variants import variant_path
from image_cloud.storage.store import Store
from tests.decoding import maker_of
from tests.unit.pictures import quarters

URL = Url.parse("http://shop.example/a.jpg")
KEY, RECIPE = URL.key, Recipe(20, 20)
FOLDER = f"{KEY[:2]}/{KEY[2:4]}"
PRIVATE = Original(KEY, "jpg", is_private=True)
PUBLIC = Original(KEY, "jpg")
Made = Callable[[Store, Original], None]


def jpeg() -> bytes:
    file = io.BytesIO()
    quarters((60, 40)).save(file, "jpeg")
    return file.getvalue()


def keep(store: Store, stored_at: float = 10.0, *, is_private: bool = True) -> Original:
    content = jpeg()
    sha256 = hashlib.sha256(content).hexdigest()
    record = Record(
        KEY, URL.text, URL.host, "jpeg", 60, 40, len(content), sha256, stored_at, "origin"
    )
    with store.originals.new_file() as file:
        file.write(content)
        return store.place(file, record, is_private=is_private)


@pytest.fixture
def made(decoder: str) -> Callable[[Store, Original], None]:
    """Has a variant made of an original."""

    def make(store: Store, original: Original) -> None:
        maker = maker_of(store, decoder, Resize(thumbnails_together=()))
        assert maker.make(original, RECIPE) is None
        assert store.variants.has(original.stem, RECIPE.name)

    return make


def failures(store: Store) -> Failures:
    return Failures(store.root, FailureSettings())


def pictures(store: Store) -> set[str]:
    """Return the files of originals and variants, below their first folders."""
    return {
        str(path.relative_to(store.root))
        for kind in ("originals", "variants")
        for path in (store.root / kind).rglob("*.*")
        if path.is_file()
    }


def test_the_names_of_files(store: Store, made: Made) -> None:
    assert keep(store) == PRIVATE
    made(store, PRIVATE)
    assert store.originals.find(KEY) == PRIVATE
    assert list(store.originals.in_folder(int(KEY[:4], 16))) == [PRIVATE]
    assert pictures(store) == {
        f"originals/{FOLDER}/{KEY}.private.jpg",
        f"variants/{FOLDER}/{KEY}.private/{RECIPE.name}",
    }


@pytest.mark.parametrize("was_private", [True, False])
def test_a_newer_store_of_the_other_kind_leaves_nothing_of_the_older(
    store: Store, made: Made, was_private: bool
) -> None:
    made(store, keep(store, is_private=was_private))
    newer = keep(store, 11.0, is_private=not was_private)
    assert store.originals.find(KEY) == newer
    assert pictures(store) == {newer.relative}
    made(store, newer)
    assert len(pictures(store)) == 2


def test_what_is_set_aside_or_removed_goes_in_full(store: Store, made: Made) -> None:
    made(store, keep(store))
    assert store.quarantine(PRIVATE).name == f"{KEY}.private.jpg"
    assert not pictures(store)
    made(store, keep(store, 11.0))
    record = store.records.find(KEY)
    assert record
    store.drop(record)
    assert not pictures(store)


def request(**more: Any) -> ImageRequest:
    return ImageRequest(**{"url": URL, "recipe": None, "no_image": False, "use_peers": False,
                           "only_local": False, **more})  # fmt: skip


def test_what_is_found(store: Store, made: Made) -> None:
    finder = Finder(store, failures(store), 1.0)
    keep(store)
    sent = finder.find(request())
    assert sent == SendFile(PRIVATE.relative, HIT, is_private=True)
    copied = finder.find(request(only_local=True))
    assert copied == SendFile(PRIVATE.relative, HIT, store.records.find(KEY), is_private=True)
    wanted = request(recipe=RECIPE)
    assert finder.find(wanted) == FetchRequest(URL, RECIPE)
    made(store, PRIVATE)
    assert finder.find(wanted) == SendFile(variant_path(PRIVATE.stem, RECIPE.name), HIT)


class Cache:
    """Has the bytes of a private picture on no disk."""

    def load(self, url: Url, *, use_peers: bool, **_: Any) -> Found:
        return Found(PRIVATE, "MISS", b"original")


class Unstored:
    def resize(self, data: bytes, original: Original, recipe: Recipe) -> bytes:
        return b"variant"


def test_what_is_on_no_disk() -> None:
    fetcher = Fetcher(Cache(), Unstored())
    assert fetcher.fetch(FetchRequest(URL)) == SendData(b"original", "jpg", "MISS", True)
    variant = fetcher.fetch(FetchRequest(URL, RECIPE))
    assert variant == SendData(b"variant", "jpg", RESIZED, True)


def headers(step: Step) -> dict[str, str]:
    resp = falcon.Response()
    respond(resp, step)
    return {name.lower(): value for name, value in resp.headers.items()}


def test_what_clients_and_peers_are_told() -> None:
    assert headers(SendFile(PRIVATE.relative, HIT, is_private=True))["x-private"] == "1"
    assert "x-private" not in headers(SendFile(PUBLIC.relative, HIT))
    assert headers(SendData(b"x", "jpg", RESIZED, True))["cache-control"] == "private"
    assert "cache-control" not in headers(SendData(b"x", "jpg", RESIZED))


@pytest.mark.parametrize(
    ("value", "private"),
    [
        ("public, max-age=86400", "private, max-age=86400"),
        ("max-age=60", "private, max-age=60"),
        ("private", "private"),
        ("Public, S-MaxAge=600, max-age=5, must-revalidate", "private, max-age=5, must-revalidate"),
        ("no-store", "private, no-store"),
    ],
)
def test_what_nginx_sends(tmp_path: Path, value: str, private: str) -> None:
    config = dataclasses.replace(Config(), http=Http(cache_control=value))
    assert f'$image_cloud_private_cache_control {{\n    default "{private}";' in render_node(config)
