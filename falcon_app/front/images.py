"""Front pool: what is wanted, and is it on disk?  Never blocks, never decodes."""

from __future__ import annotations

import falcon

from falcon_app.exchange import (
    hand_on,
    query_of,
    send_nothing,
    send_original,
    send_variant,
)
from image_cloud.cluster.peers import SHA256, STORED_AT
from image_cloud.config.sections import Resize
from image_cloud.errors import NotLocal
from image_cloud.fetch.load import HIT
from image_cloud.request.internal import FetchRequest, ResizeRequest
from image_cloud.request.params import ImageRequest, image_request, thumbnail_request
from image_cloud.storage.failures import RESIZE, Failures
from image_cloud.storage.store import Store


class Finder:
    """Answers from disk, or sends the request on to the pool that can do more.

    Looks into `failures` before anything is tried again.
    """

    def __init__(self, store: Store, failures: Failures) -> None:
        self._store = store
        self._failures = failures

    def answer(self, resp: falcon.Response, wanted: ImageRequest) -> None:
        """Set the headers that make nginx send the picture, or go on to fetch or resize.

        Raises NotLocal, and remembered failures.
        """
        recipe = wanted.recipe
        if recipe and self._store.variants.has(wanted.key, recipe.name):
            if wanted.no_image:
                send_nothing(resp, HIT)
            else:
                send_variant(resp, wanted.key, recipe, HIT)
            return
        original = self._store.originals.find(wanted.key)
        if original is None:
            self._fetch(resp, wanted)
        elif recipe:
            self._resize(resp, ResizeRequest(original, recipe, wanted.no_image))
        elif wanted.no_image:
            send_nothing(resp, HIT)
        else:
            send_original(resp, original, HIT)
            if wanted.only_local:
                self._tell_peer(resp, wanted.key)

    def _tell_peer(self, resp: falcon.Response, key: str) -> None:
        """Say when the picture was stored and what it must hash to: a copy keeps both."""
        record = self._store.records.find(key)
        if record:
            resp.set_header(STORED_AT, f"{record.stored_at:.6f}")
            resp.set_header(SHA256, record.sha256)

    def _fetch(self, resp: falcon.Response, wanted: ImageRequest) -> None:
        self._store.tombstones.check_blocked(wanted.key)
        if wanted.only_local:
            raise NotLocal()
        if not wanted.use_peers:
            self._failures.check(wanted.key)
        hand_on(resp, "/_fetch", FetchRequest.of(wanted).arguments())

    def _resize(self, resp: falcon.Response, asked: ResizeRequest) -> None:
        self._failures.check(asked.original.key, RESIZE)
        hand_on(resp, "/_resize", asked.arguments())


class GetImage:
    """GET /get_image.

    `formats` are those that this build can write.
    """

    scope = "read"

    def __init__(self, finder: Finder, settings: Resize, formats: tuple[str, ...]) -> None:
        self._finder = finder
        self._settings = settings
        self._formats = formats

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the original or a variant."""
        self._finder.answer(resp, image_request(query_of(req), self._settings, self._formats))

    on_head = on_get


class GetThumbnail:
    """GET /get_thumbnail, and /iproxy.php for the old PHP pages.

    `settings` gives the sizes and the quality.
    """

    scope = "read"

    def __init__(self, finder: Finder, settings: Resize) -> None:
        self._finder = finder
        self._settings = settings

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with a small JPEG."""
        self._finder.answer(resp, thumbnail_request(query_of(req), self._settings))

    on_head = on_get
