"""/get_image on its way through front and fetch: what each pool sends or hands on."""

from __future__ import annotations

import contextlib
from typing import Any

import falcon
import pytest
from falcon.testing import TestClient
from hypothesis import given
from hypothesis import strategies as st

from falcon_app.exchange import hand_on
from falcon_app.fetch.originals import Fetch
from falcon_app.front.images import GetImage, GetThumbnail
from image_cloud.config.sections import Failures as FailureSettings
from image_cloud.config.sections import Resize
from image_cloud.decoding.asking import Variant
from image_cloud.errors import (
    BadParameter,
    Busy,
    CorruptImage,
    DecoderDied,
    ImageCloudError,
    NotLocal,
    OriginNotFound,
)
from image_cloud.fetch.fetcher import Fetcher
from image_cloud.fetch.finder import Finder
from image_cloud.fetch.load import Found
from image_cloud.picture.record import Original, Record
from image_cloud.picture.url import Url
from image_cloud.picture.variant import Recipe
from image_cloud.process.log_formats import current_id
from image_cloud.request.internal import FetchRequest
from image_cloud.request.params import ImageParameters, ThumbnailParameters
from image_cloud.request.query import Query
from image_cloud.storage.failures import FETCH, RESIZE, Failures
from image_cloud.storage.local.variants import variant_path
from image_cloud.storage.store import Store
from tests.unit.web import client, redirect

URL = Url.parse("http://shop.example/a b.jpg?x=1&y=%20+ä")
ORIGINAL, RECIPE, IDENTITY = Original(URL.key, "jpg"), Recipe(200, 0), "a" * 32


class Cache:
    """Has the original on disk, or (with `data`) only its bytes."""

    def __init__(self, data: bytes | None = None, *, is_local: bool = True) -> None:
        self._data = data
        self._is_local = is_local
        self.asked: list[tuple[str, bool]] = []

    def load(self, url: Url, *, use_peers: bool, **_: Any) -> Found:
        self.asked.append((url.text, use_peers))
        return Found(ORIGINAL, "MISS", self._data)

    def local(self, url: Url) -> Found:
        if not self._is_local:
            raise NotLocal
        return Found(ORIGINAL, "HIT")


class Maker:
    """Keeps a variant that it is asked for, or (with `error`) cannot make it."""

    def __init__(self, error: ImageCloudError | None = None, unkept: bytes | None = None) -> None:
        self._error = error
        self._unkept = unkept

    def have(self, original: Original, recipe: Recipe, start: Any, arriving: Any) -> Variant:
        assert (original, current_id.get()) == (ORIGINAL, IDENTITY)
        if self._error:
            raise self._error
        return Variant(recipe.name, self._unkept, is_new=True)

    def resize(self, data: bytes, original: Original, recipe: Recipe) -> bytes:
        if self._error:
            raise self._error
        return b" ".join(
            [data, original.key.encode(), recipe.name.encode(), current_id.get().encode()]
        )


@pytest.fixture
def failures(store: Store) -> Failures:
    return Failures(store.root, FailureSettings())


def ask(web: TestClient, address: str, asked: FetchRequest, **more: Any) -> Any:
    return web.simulate_get(
        address, params=asked.arguments(), headers={"X-Request-Id": IDENTITY}, **more
    )


# --- front ----------------------------------------------------------------------------------------


@pytest.fixture
def front(store: Store, failures: Failures) -> TestClient:
    finder = Finder(store, failures, 1.0)
    return client(
        {
            "/get_image": GetImage(finder, ImageParameters(Resize(), ("jpeg", "png"))),
            "/get_thumbnail": GetThumbnail(finder, ThumbnailParameters(Resize())),
        }
    )


def keep(store: Store) -> None:
    record = Record(URL.key, URL.text, URL.host, "jpeg", 1, 1, 3, "5" * 64, 10.5, "origin")
    with store.originals.new_file() as file:
        file.write(b"abc")
        store.place(file, record)


def test_what_is_nowhere_is_fetched(front: TestClient) -> None:
    parameters = {"url": URL.text, "resize_width": 200, "use_alternativ_clouds": 1}
    target = redirect(front.simulate_get("/get_image", params=parameters))
    address, _, query = target.partition("?")
    asked = FetchRequest.read(Query(query))
    assert (address, asked) == ("/_fetch", FetchRequest(URL, RECIPE, use_peers=True))


def test_an_original_is_sent_and_peers_hear_of_its_record(front: TestClient, store: Store) -> None:
    keep(store)
    answer = front.simulate_get("/get_image", params={"url": URL.text, "only_send_if_local": 1})
    assert redirect(answer) == f"/_files/{ORIGINAL.relative}"
    assert (answer.headers["X-Cache"], answer.headers["Content-Type"]) == ("HIT", "image/jpeg")
    assert (answer.headers["X-Stored-At"], answer.headers["X-Sha256"]) == ("10.500000", "5" * 64)


def test_a_missing_variant_is_made_and_one_that_is_there_is_sent(
    front: TestClient, store: Store
) -> None:
    keep(store)
    parameters = {"url": URL.text, "resize_width": 200}
    address, _, query = redirect(front.simulate_get("/get_image", params=parameters)).partition("?")
    assert (address, FetchRequest.read(Query(query))) == ("/_variant", FetchRequest(URL, RECIPE))
    store.variants.keep(URL.key, {RECIPE.name: b"small"})
    target = redirect(front.simulate_get("/get_image", params=parameters))
    assert target.endswith(f"{URL.key}/{RECIPE.name}")
    answer = front.simulate_get("/get_image", params={**parameters, "no_image": 1})
    assert (answer.status_code, answer.headers["X-Cache"]) == (204, "HIT")


@pytest.mark.parametrize(
    ("kind", "error", "status"), [(FETCH, OriginNotFound(), 404), (RESIZE, CorruptImage(), 422)]
)
def test_a_remembered_failure_is_told_at_once(
    front: TestClient, store: Store, failures: Failures,
    kind: str, error: ImageCloudError, status: int,
) -> None:  # fmt: skip
    if kind == RESIZE:
        keep(store)
    failures.remember(URL.key, error, kind)
    answer = front.simulate_get("/get_thumbnail", params={"url": URL.text})
    assert (answer.status_code, answer.json["code"]) == (status, error.code)
    assert int(answer.headers["Retry-After"]) > 0


def test_a_node_that_may_not_look_elsewhere_says_so(front: TestClient) -> None:
    answer = front.simulate_get("/get_image", params={"url": URL.text, "only_send_if_local": 1})
    assert (answer.status_code, answer.json["code"]) == (404, "not_local")


# --- fetch ----------------------------------------------------------------------------------------


def fetch(cache: Cache | None = None, maker: Maker | None = None) -> TestClient:
    return client({"/_fetch": Fetch(Fetcher(cache or Cache(), maker or Maker()))})


@given(st.text(), st.tuples(*[st.booleans()] * 3), st.none() | st.just(RECIPE))
def test_what_is_handed_on_is_what_is_read(
    path: str, flags: tuple[bool, ...], recipe: Recipe | None
) -> None:
    with contextlib.suppress(BadParameter):
        url = Url.parse(f"http://shop.example/{path}")
        asked, resp = FetchRequest(url, recipe, *flags), falcon.Response()
        hand_on(resp, "/_fetch", asked.arguments())
        query = str(resp.get_header("X-Accel-Redirect")).partition("?")[2]
        assert FetchRequest.read(Query(query)) == asked


def test_a_fetched_original_is_sent_by_nginx() -> None:
    answer = ask(fetch(), "/_fetch", FetchRequest(URL))
    assert redirect(answer) == f"/_files/{ORIGINAL.relative}"
    assert answer.headers["X-Cache"] == "MISS"


def test_a_variant_is_made_and_sent_by_nginx() -> None:
    answer = ask(fetch(), "/_fetch", FetchRequest(URL, RECIPE))
    assert redirect(answer) == f"/_files/{variant_path(URL.key, RECIPE.name)}"
    assert answer.headers["X-Cache"] == "RESIZED"
    answer = ask(fetch(), "/_fetch", FetchRequest(URL, RECIPE, no_image=True))
    assert (answer.status_code, answer.headers["X-Cache"]) == (204, "RESIZED")


def test_a_variant_that_cannot_be_kept_is_sent_all_the_same() -> None:
    web = fetch(maker=Maker(unkept=b"made"))
    answer = ask(web, "/_fetch", FetchRequest(URL, RECIPE))
    assert (answer.content, answer.headers["X-Cache"]) == (b"made", "RESIZED")
    answer = ask(web, "/_fetch", FetchRequest(URL, RECIPE, no_image=True))
    assert (answer.status_code, answer.json["code"]) == (503, "storage_unavailable")


def test_what_is_on_no_disk_is_sent_or_resized_by_the_pool() -> None:
    web = fetch(Cache(b"bytes"))
    whole = ask(web, "/_fetch", FetchRequest(URL))
    assert (whole.content, whole.headers["X-Cache"]) == (b"bytes", "MISS")
    small = ask(web, "/_fetch", FetchRequest(URL, Recipe(20, 0, format="png")))
    assert small.content == f"bytes {URL.key} 20x0-fit-q85.png {IDENTITY}".encode()
    assert (small.headers["X-Cache"], small.headers["Content-Type"]) == ("RESIZED", "image/png")
    nothing = ask(web, "/_fetch", FetchRequest(URL, no_image=True))
    assert (nothing.status_code, nothing.json["code"]) == (503, "storage_unavailable")


@pytest.mark.parametrize("data", [None, b"bytes"])
@pytest.mark.parametrize(("error", "status"), [(DecoderDied(), 422), (Busy(retry_after_s=2), 503)])
def test_a_decoder_without_an_answer_is_explained(
    data: bytes | None, error: ImageCloudError, status: int
) -> None:
    answer = ask(fetch(Cache(data), Maker(error)), "/_fetch", FetchRequest(URL, RECIPE))
    assert (answer.status_code, answer.json["code"]) == (status, error.code)


def test_what_may_only_be_local_is_not_downloaded() -> None:
    web = fetch(Cache(is_local=False))
    answer = ask(web, "/_fetch", FetchRequest(URL, RECIPE, only_local=True))
    assert (answer.status_code, answer.json["code"]) == (404, "not_local")


@pytest.mark.parametrize("query", ["variant=x", "url=http://a/&variant=x", "peers=1"])
def test_a_bad_question_is_refused(query: str) -> None:
    answer = fetch().simulate_get("/_fetch", query_string=query)
    assert (answer.status_code, answer.json["code"]) == (400, "bad_parameter")
