"""Fallback pictures as files: nginx sends them where a pool is full or away (nginx/lua/fallback.lua).

fallback/picture.<ext>    the picture as it is
fallback/<name>           the same for a request whose variant would have that name
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

from image_cloud.picture.variant import Recipe
from image_cloud.storage.files import has_bytes, make_dir, unlink
from image_cloud.storage.folders import PRIVATE_DIR, PRIVATE_FILE
from image_cloud.storage.new_file import NewFile

log = logging.getLogger(__name__)

FOLDER = "fallback"
MOST_FILES = 200


class FallbackFiles:
    """The files below `root`, the storage folder.  A full disk costs them."""

    def __init__(self, root: Path) -> None:
        self._folder = f"{root}/{FOLDER}"

    def publish(self, data: bytes, extension: str) -> None:
        """Put a picture there; what was made of another one goes."""
        try:
            make_dir(Path(self._folder), PRIVATE_DIR)
            for name in os.listdir(self._folder):
                unlink(f"{self._folder}/{name}")
            self._write(f"picture.{extension}", data)
        except OSError as error:
            log.warning("event=fallback_not_published reason=%r", error.strerror)

    def has(self, recipe: Recipe) -> bool:
        """Say whether it is there in the size that `recipe` asks for."""
        return has_bytes(f"{self._folder}/{recipe.name}")

    def keep(self, recipe: Recipe, data: bytes) -> None:
        """Keep it in that size; where Accept decides on the format, nginx sends the picture as it is."""
        with contextlib.suppress(OSError):
            if not recipe.auto and len(os.listdir(self._folder)) < MOST_FILES:
                self._write(recipe.name, data)

    def _write(self, name: str, data: bytes) -> None:
        with NewFile(self._folder, PRIVATE_FILE) as file:
            file.write(data)
            os.fchmod(file.descriptor, PRIVATE_FILE)
            file.place(f"{self._folder}/{name}", PRIVATE_DIR)
