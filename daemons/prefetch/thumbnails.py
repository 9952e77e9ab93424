"""Thumbnails in advance, few at a time: the decoder is there for users first."""

from __future__ import annotations

import threading

from image_cloud.config.sections import Resize
from image_cloud.decoding.maker import Maker
from image_cloud.decoding.plan import PREFETCH
from image_cloud.errors import StorageUnavailable
from image_cloud.picture.record import Original
from image_cloud.request.params import thumbnail_recipe


class Thumbnails:
    """Has `maker` make thumbnails, `at_once` at most."""

    def __init__(self, maker: Maker, settings: Resize, at_once: int) -> None:
        self._maker = maker
        self._settings = settings
        self._turn = threading.BoundedSemaphore(at_once)

    def make(self, original: Original, sizes: tuple[int, ...]) -> None:
        """Make what is missing.  Raises the picture's error, Busy, or StorageUnavailable."""
        for size in sizes:
            recipe = thumbnail_recipe(size, self._settings)
            with self._turn:
                unkept = self._maker.make(original, recipe, PREFETCH)
            if unkept is not None:
                raise StorageUnavailable("storage: the variant could not be kept")
