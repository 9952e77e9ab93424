"""Thumbnails in advance: the daemon asks the resize pool, as nginx does; decoding stays in the sandbox."""

from __future__ import annotations

import http.client
import secrets
import threading
from urllib.parse import urlencode

from image_cloud.config.sections import Resize
from image_cloud.errors import Busy, DecoderDied, ImageCloudError, by_code
from image_cloud.picture.record import Original
from image_cloud.picture.variant import Recipe
from image_cloud.process import json_file
from image_cloud.process.unix_http import UnixConnection
from image_cloud.request.params import thumbnail_recipe
from image_cloud.resize_pool.marks import Attempts
from image_cloud.storage.failures import RESIZE, Failures
from image_cloud.storage.store import Store

RETRY_AFTER_S = 2.0


class Thumbnails:
    """Has thumbnails made, few at a time: the pool is there for users first.

    Asks the pool at `socket_path`, for at most `at_once` at a time.
    """

    def __init__(
        self,
        store: Store,
        failures: Failures,
        attempts: Attempts,
        socket_path: str,
        settings: Resize,
        at_once: int,
    ) -> None:
        self._store = store
        self._failures = failures
        self._attempts = attempts
        self._socket_path = socket_path
        self._settings = settings
        self._turn = threading.BoundedSemaphore(at_once)

    def make(self, original: Original, sizes: tuple[int, ...]) -> None:
        """Make what is missing.  Raises what the picture is guilty of, and Busy."""
        for size in sizes:
            recipe = thumbnail_recipe(size, self._settings)
            if self._store.variants.has(original.key, recipe.name):
                continue
            remembered = self._failures.recall(original.key, RESIZE)
            if remembered:
                raise remembered
            with self._turn:
                self._ask(original, recipe)

    def _ask(self, original: Original, recipe: Recipe) -> None:
        identity = secrets.token_hex(16)
        arguments = {"key": original.key, "extension": original.extension, "no_image": "1"}
        address = "/_resize?" + urlencode(arguments | {"variant": recipe.name})
        connection = UnixConnection(self._socket_path, self._settings.decode_timeout + 10.0)
        try:
            connection.request("GET", address, headers={"X-Request-Id": identity})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._without_answer(identity) from error
        finally:
            connection.close()
        if answer.status >= 300:
            raise _problem(body, answer.getheader("Retry-After"))

    def _without_answer(self, identity: str) -> ImageCloudError:
        """Tell a pool that was never reached from one that died of the picture."""
        key = self._attempts.take(identity)
        if key is None:
            return Busy("the resize pool gave no answer", retry_after_s=RETRY_AFTER_S)
        error = DecoderDied()
        self._failures.remember(key, error, RESIZE)
        return error


def _problem(body: bytes, retry_after: str | None) -> ImageCloudError:
    """Return the error that a problem document tells of."""
    retry_after_s = float(retry_after) if retry_after and retry_after.isdigit() else None
    try:
        problem = json_file.parse(body)
        return by_code(problem["code"])(problem["detail"], retry_after_s=retry_after_s)
    except (ValueError, KeyError, TypeError):
        return Busy("the resize pool gave no answer", retry_after_s=RETRY_AFTER_S)
