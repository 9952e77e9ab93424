"""Makes variants: decodes, resizes, encodes and keeps them.  Runs in the sandbox alone."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from image_cloud.config.sections import Resize as Settings
from image_cloud.errors import Busy, DecodeTimeout, ImageCloudError, StorageUnavailable
from image_cloud.picture.record import Original
from image_cloud.picture.variant import Recipe
from image_cloud.process.readable import Readable
from image_cloud.request.internal import ResizeRequest
from image_cloud.request.params import companions
from image_cloud.request.steps import RESIZED, SendData, SendFile, SendNothing, Step
from image_cloud.resize import LADDER, Steps, resize, resize_from_ladder, resize_with_ladder
from image_cloud.resize_pool.marks import Attempts
from image_cloud.storage.failures import RESIZE, Failures
from image_cloud.storage.store import Store
from image_cloud.storage.variants import variant_path

log = logging.getLogger(__name__)


class Maker:
    """Reads originals from `store` and writes variants to it; one picture at a time."""

    def __init__(
        self, store: Store, failures: Failures, attempts: Attempts, settings: Settings
    ) -> None:
        self._store = store
        self._failures = failures
        self._attempts = attempts
        self._settings = settings

    def make(self, asked: ResizeRequest, request_id: str) -> Step:
        """Make and keep a variant, unless it is there; return how it is sent.

        Raises the picture's error, Busy if it was deleted meanwhile, and StorageUnavailable if it
        could not be kept and `no_image` was asked for.
        """
        data = self._make(asked.original, asked.recipe, request_id)
        if data is not None and asked.no_image:
            raise StorageUnavailable("storage: the variant could not be kept")
        if data is not None:
            return SendData(data, asked.recipe.extension, RESIZED, asked.original.is_private)
        if asked.no_image:
            return SendNothing(RESIZED)
        return SendFile(variant_path(asked.original.stem, asked.recipe.name), RESIZED)

    def resize(self, asked: ResizeRequest, source: Readable, request_id: str) -> SendData:
        """Return a variant of an original that is on no disk: `source` has its bytes."""
        with _in_memory(source) as path, self._attempt(asked.original, request_id):
            data = resize(path, asked.recipe, self._settings)
        return SendData(data, asked.recipe.extension, RESIZED)

    def _make(self, original: Original, recipe: Recipe, request_id: str) -> bytes | None:
        """Make and keep the variant and its companions; return it where it cannot be kept."""
        there = self._store.variants.names(original.stem)
        if recipe.name in there:
            return None
        wanted = [recipe, *companions(recipe, self._settings)]
        recipes = [one for one in wanted if one.name not in there]
        version = self._store.originals.version(original)
        made, steps = self._resize(request_id, original, recipes, there)
        files = {one.name: data for one, data in zip(recipes, made, strict=True)}
        kept = self._keep(original, files | ({LADDER: steps} if steps else {}))
        if kept and self._store.originals.version(original) != version:
            for name in kept:  # deleted or replaced meanwhile
                self._store.variants.remove_one(original.stem, name)
            kept = []
        return None if recipe.name in kept else made[0]

    def _resize(
        self, request_id: str, original: Original, recipes: list[Recipe], there: set[str]
    ) -> tuple[list[bytes], bytes | None]:
        started = time.monotonic()
        try:
            with self._attempt(original, request_id):
                made = self._decode(original, recipes, there)
        except FileNotFoundError:
            raise Busy("the picture was deleted meanwhile", retry_after_s=1) from None
        seconds = time.monotonic() - started
        log.info(
            "event=resized id=%s key=%s variants=%s bytes=%d seconds=%.3f",
            request_id, original.key, ",".join(one.name for one in recipes), len(made[0][0]), seconds,
        )  # fmt: skip
        return made

    @contextlib.contextmanager
    def _attempt(self, original: Original, request_id: str) -> Iterator[None]:
        """Mark that a picture is being decoded, bound the time, and remember what goes wrong."""
        try:
            with (
                self._attempts.under_way(request_id, original.key),
                _deadline(self._settings.decode_timeout),
            ):
                yield
        except ImageCloudError as error:
            self._failures.remember(original.key, error, RESIZE)
            raise

    def _decode(
        self, original: Original, recipes: list[Recipe], there: set[str]
    ) -> tuple[list[bytes], bytes | None]:
        """Use the ladder; without one look at the original, and keep what the next size can use.

        Nothing is kept of a first look: most pictures are never asked for in a further size.
        """
        source = self._store.originals.path(original)
        if LADDER in there:
            ladder = self._store.variants.path(original.stem, LADDER)
            made = resize_from_ladder(ladder, recipes, self._settings)
            if made:
                return made, None
        steps = Steps.FINE if LADDER in there else Steps.AS_DECODED if there else Steps.NONE
        return resize_with_ladder(source, recipes, self._settings, steps)

    def _keep(self, original: Original, files: dict[str, bytes]) -> list[str]:
        """Store the files as far as that works; return their names.  A full disk is for originals."""
        if not self._store.space.has_room():
            return []
        failed = self._store.variants.keep(original.stem, files)
        for error in failed.values():
            key, reason = original.key, error.strerror
            log.warning("event=variant_not_stored key=%s reason=%r", key, reason)
        return [name for name in files if name not in failed]


@contextlib.contextmanager
def _in_memory(source: Readable) -> Iterator[Path]:
    """Give a file that holds what `source` has to read, and is on no disk."""
    descriptor = os.memfd_create("unstored")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            shutil.copyfileobj(source, file)
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


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
