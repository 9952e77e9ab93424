"""Thumbnails in advance, few at a time: the resize pool is there for users first."""

from __future__ import annotations

import secrets
import threading

from image_cloud.config.sections import Resize
from image_cloud.picture.record import Original
from image_cloud.request.params import thumbnail_recipe
from image_cloud.resize_pool.client import ResizePool
from image_cloud.storage.failures import RESIZE, Failures
from image_cloud.storage.variants import Variants


class Thumbnails:
    """Has the resize pool make thumbnails, `at_once` at most."""

    def __init__(
        self,
        variants: Variants,
        failures: Failures,
        resize_pool: ResizePool,
        settings: Resize,
        at_once: int,
    ) -> None:
        self._variants = variants
        self._failures = failures
        self._resize_pool = resize_pool
        self._settings = settings
        self._turn = threading.BoundedSemaphore(at_once)

    def make(self, original: Original, sizes: tuple[int, ...]) -> None:
        """Make what is missing.  Raises the picture's error, or Busy."""
        for size in sizes:
            recipe = thumbnail_recipe(size, self._settings)
            if self._variants.has(original.stem, recipe.name):
                continue
            self._failures.check(original.key, RESIZE)
            with self._turn:
                self._resize_pool.make(original, recipe, secrets.token_hex(16))
