"""The picture that is sent in place of one that cannot be had: the ini's, or the grey one that ships."""

from __future__ import annotations

import base64
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from image_cloud.config import Config
from image_cloud.config.sections import Http
from image_cloud.errors import ImageCloudError
from image_cloud.fetch.fallback_files import FallbackFiles
from image_cloud.picture.formats import HEAD_BYTES, sniff
from image_cloud.picture.key import key_of
from image_cloud.picture.record import Original
from image_cloud.picture.variant import Recipe
from image_cloud.request.steps import SendFallback

log = logging.getLogger(__name__)

GREY = "dddddd"
GREY_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAZAAAAGQAQMAAAC6caSPAAAAA1BMVEXd3d3u346CAAAAKklEQVR42u3BMQEAAADCoPVP"
    "7W8GoAAAAAAAAAAAAAAAAAAAAAAAAACAN0+wAAGUQRhcAAAAAElFTkSuQmCC"
)
"""Neutral grey, 400 x 400."""
WARM_TRIES, WARM_WAIT_S = 30, 1.0
MOST_KEPT, MOST_KEPT_BYTES = 200, 1 << 20

Resize = Callable[[bytes, Original, Recipe], bytes]


class Placeholder:
    """Gives `data`, resized by `resize`, in the size of a picture; of `ground` where it is padded with that.

    Each process keeps the sizes that were asked for, and nginx finds them in `files`.
    Safe for any number of threads.
    """

    def __init__(
        self,
        data: bytes,
        resize: Resize,
        status: int,
        files: FallbackFiles,
        ground: str = "",
    ) -> None:
        format = sniff(data[:HEAD_BYTES])
        if format is None:
            raise ValueError("not a picture")
        self._raw = SendFallback(data, format.extension, status)
        self._original = Original(key_of("image-cloud fallback"), format.extension)
        self._resize = resize
        self._files = files
        self._ground = ground
        self._kept: dict[str, bytes] = {}
        self._lock = threading.Lock()

    @classmethod
    def of(cls, settings: Http, resize: Resize, files: FallbackFiles) -> Placeholder:
        """Return the ini's picture, and the grey one where there is none or it cannot be read."""
        status = int(settings.fallback_status)
        try:
            if settings.fallback_image:
                return cls(Path(settings.fallback_image).read_bytes(), resize, status, files)
        except (OSError, ValueError) as error:
            log.error("event=fallback_image_unusable error=%r", str(error))
        return cls(GREY_PNG, resize, status, files, GREY)

    def publish(self) -> None:
        """Have nginx send this picture, and none of an earlier one."""
        self._files.publish(self._raw.data, self._raw.extension)

    def warm(self, recipes: Iterable[Recipe], wait: Callable[[float], object] = time.sleep) -> None:
        """Have what is asked for most made before it is missed; the decoder may take a while to start."""
        for recipe in recipes:
            for _ in range(WARM_TRIES):
                if recipe.auto or self._files.has(recipe) or self.step(recipe) is not self._raw:
                    break
                wait(WARM_WAIT_S)

    def step(self, recipe: Recipe | None) -> SendFallback:
        """Return the picture in the size that `recipe` asks for, as it is where it cannot be resized."""
        if not recipe or not (recipe.width or recipe.height):
            return self._raw
        wanted = self._filling(recipe)
        try:
            data = self._made(wanted)
            if not self._files.has(recipe):
                self._files.keep(recipe, data)
            extension = wanted.name_of(data).rpartition(".")[2]
            return dataclasses.replace(self._raw, data=data, extension=extension)
        except ImageCloudError as error:
            log.warning("event=fallback_not_resized code=%s", error.code)
            return self._raw

    def _filling(self, recipe: Recipe) -> Recipe:
        """Return how the size that is asked for is filled, whatever the picture's own."""
        if self._ground:
            width, height = recipe.width or recipe.height, recipe.height or recipe.width
            changed = {"width": width, "height": height, "mode": "pad", "background": self._ground}
            recipe = dataclasses.replace(recipe, **changed)  # type: ignore[arg-type]
        return dataclasses.replace(recipe, enlarge=True, trim=None).canonical()

    def _made(self, recipe: Recipe) -> bytes:
        with self._lock:
            kept = self._kept.get(recipe.name)
        if kept is not None:
            return kept
        made = self._resize(self._raw.data, self._original, recipe)
        if len(made) <= MOST_KEPT_BYTES:
            with self._lock:
                if len(self._kept) >= MOST_KEPT:
                    self._kept.clear()
                self._kept[recipe.name] = made
        return made


def fallback_problems(config: Config) -> Iterator[str]:
    """Yield a line where the ini's picture cannot be had."""
    path = config.http.fallback_image
    try:
        if path and sniff(Path(path).read_bytes()[:HEAD_BYTES]) is None:
            yield f"[http] fallback_image = {path}: not a picture; expected a picture file, or nothing"
    except OSError as error:
        yield f"[http] fallback_image = {path}: {error.strerror}; expected a picture file, or nothing"
