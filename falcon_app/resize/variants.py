"""Resize pool: decode, resize and encode one picture at a time, in a sandbox."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import falcon

from falcon_app.exchange import MIMES, query_of, request_id, send_nothing, send_variant
from image_cloud.config.sections import Resize as Settings
from image_cloud.errors import BadParameter, Busy, DecodeTimeout, ImageCloudError
from image_cloud.picture.key import KEY_PATTERN
from image_cloud.picture.record import Original
from image_cloud.picture.variant import EXTENSIONS, Recipe
from image_cloud.request.params import companions
from image_cloud.request.query import Query
from image_cloud.resize import LADDER, Steps, resize, resize_from_ladder, resize_with_ladder
from image_cloud.resize_pool.marks import Attempts
from image_cloud.storage.failures import RESIZE, Failures
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)

RESIZED = "RESIZED"


class Resize:
    """GET /_resize (an original on disk) and POST /_resize (bytes on no disk).

    Only nginx and the fetch pool get here.

    Reads originals from `store` and writes variants to it.
    """

    scope = None

    def __init__(
        self, store: Store, failures: Failures, attempts: Attempts, settings: Settings
    ) -> None:
        self._store = store
        self._failures = failures
        self._attempts = attempts
        self._settings = settings

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Make the variant unless another request just did, and let nginx send it."""
        query = query_of(req)
        original, recipe = _original(query), _recipe(query)
        there = self._store.variants.names(original.key)
        if recipe.name not in there:
            data = self._make(request_id(req), original, recipe, there)
            if data is not None:
                _send_data(resp, recipe, data)
                return
        if query.boolean("no_image"):
            send_nothing(resp, RESIZED)
        else:
            send_variant(resp, original.key, recipe, RESIZED)

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Resize the body and answer with the picture itself."""
        recipe = _recipe(query_of(req))
        descriptor = os.memfd_create("unstored")
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(req.bounded_stream.read())
            with _deadline(self._settings.decode_timeout):
                data = resize(Path(f"/proc/self/fd/{descriptor}"), recipe, self._settings)
            _send_data(resp, recipe, data)
        finally:
            os.close(descriptor)

    def _make(
        self, identity: str, original: Original, recipe: Recipe, there: set[str]
    ) -> bytes | None:
        """Make and keep the variant and its companions; return it where it cannot be kept."""
        wanted = [recipe, *companions(recipe, self._settings)]
        recipes = [one for one in wanted if one.name not in there]
        version = self._store.originals.version(original)
        made, steps = self._resize(identity, original, recipes, there)
        files = {one.name: data for one, data in zip(recipes, made, strict=True)}
        kept = self._keep(original, files | ({LADDER: steps} if steps else {}))
        if (
            kept and self._store.originals.version(original) != version
        ):  # deleted or replaced meanwhile
            for name in kept:
                self._store.variants.remove(original.key, name)
            kept = []
        return None if recipe.name in kept else made[0]

    def _resize(
        self, identity: str, original: Original, recipes: list[Recipe], there: set[str]
    ) -> tuple[list[bytes], bytes | None]:
        started = time.monotonic()
        try:
            with (
                self._attempts.under_way(identity, original.key),
                _deadline(self._settings.decode_timeout),
            ):
                made = self._decode(original, recipes, there)
        except FileNotFoundError:
            raise Busy("the picture was deleted meanwhile", retry_after_s=1) from None
        except ImageCloudError as error:
            self._failures.remember(original.key, error, RESIZE)
            raise
        seconds = time.monotonic() - started
        log.info(
            "event=resized id=%s key=%s variants=%s bytes=%d seconds=%.3f",
            identity, original.key, ",".join(one.name for one in recipes), len(made[0][0]), seconds,
        )  # fmt: skip
        return made

    def _decode(
        self, original: Original, recipes: list[Recipe], there: set[str]
    ) -> tuple[list[bytes], bytes | None]:
        """Use the ladder; without one look at the original, and keep what the next size can use.

        Nothing is kept of a first look: most pictures are never asked for in a further size.
        """
        source = self._store.originals.path(original)
        if LADDER in there:
            ladder = self._store.variants.path(original.key, LADDER)
            made = resize_from_ladder(ladder, recipes, self._settings)
            if made:
                return made, None
        steps = Steps.FINE if LADDER in there else Steps.AS_DECODED if there else Steps.NONE
        return resize_with_ladder(source, recipes, self._settings, steps)

    def _keep(self, original: Original, files: dict[str, bytes]) -> list[str]:
        """Store the files as far as that works; return their names."""
        failed = self._store.variants.keep(original.key, files)
        for error in failed.values():
            key, reason = original.key, error.strerror
            log.warning("event=variant_not_stored key=%s reason=%r", key, reason)
        return [name for name in files if name not in failed]


def _original(query: Query) -> Original:
    key, extension = query.text("key") or "", query.text("extension") or ""
    if not KEY_PATTERN.fullmatch(key) or extension not in EXTENSIONS.values():
        raise BadParameter("key: not a key")
    return Original(key, extension)


def _recipe(query: Query) -> Recipe:
    try:
        return Recipe.from_name(query.text("variant") or "")
    except ValueError:
        raise BadParameter("variant: not the name of a variant") from None


def _send_data(resp: falcon.Response, recipe: Recipe, data: bytes) -> None:
    resp.data = data
    resp.content_type = MIMES[EXTENSIONS[recipe.format]]
    resp.set_header("X-Cache", RESIZED)


@contextlib.contextmanager
def _deadline(timeout_s: float) -> Iterator[None]:
    """Raise DecodeTimeout in the block after `timeout_s`.

    It comes when the decoder next returns to Python; one that never does is killed by gunicorn.
    """

    def expire(_signum: int, _frame: Any) -> None:
        raise DecodeTimeout(f"stopped after {timeout_s:g} s")

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
