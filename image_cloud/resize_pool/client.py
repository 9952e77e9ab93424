"""Has pictures resized: asks the resize pool, as nginx does, so that decoding stays in the sandbox."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlencode

from image_cloud.errors import ImageCloudError, by_code
from image_cloud.picture.record import Original
from image_cloud.picture.variant import Recipe
from image_cloud.process.unix_http import UnixConnection
from image_cloud.request.internal import ResizeRequest
from image_cloud.resize_pool.no_answer import NoAnswer, busy


class ResizePool:
    """Asks the pool at the unix socket `path`; for any number of threads.

    `timeout_s` bounds each wait for the pool, which has a queue of its own.
    """

    def __init__(self, path: str, no_answer: NoAnswer, timeout_s: float) -> None:
        self._path = path
        self._no_answer = no_answer
        self._timeout_s = timeout_s

    def make(self, original: Original, recipe: Recipe, request_id: str) -> None:
        """Have a variant made of an original on disk, and kept.

        Raises the picture's error, or Busy.
        """
        self._ask("GET", ResizeRequest(original, recipe, no_image=True), request_id)

    def resize(self, data: bytes, original: Original, recipe: Recipe, request_id: str) -> bytes:
        """Return a variant of `data`, which is what `original` would hold.  Raises what `make` raises."""
        return self._ask("POST", ResizeRequest(original, recipe), request_id, data)

    def _ask(self, method: str, asked: ResizeRequest, request_id: str, body: bytes = b"") -> bytes:
        address = f"/_resize?{urlencode(asked.arguments())}"
        connection = UnixConnection(self._path, self._timeout_s)
        try:
            connection.request(method, address, body, {"X-Request-Id": request_id})
            answer = connection.getresponse()
            content = answer.read()
        except TimeoutError as error:  # it waits for its turn, or is being decoded still
            raise busy() from error
        except (OSError, http.client.HTTPException) as error:
            raise self._no_answer.reason(request_id) from error
        finally:
            connection.close()
        if answer.status >= 300:
            raise _problem(content, answer.getheader("Retry-After"))
        return content


def _problem(body: bytes, retry_after: str | None) -> ImageCloudError:
    """Return the error that a problem document tells of."""
    retry_after_s = float(retry_after) if retry_after and retry_after.isdigit() else None
    try:
        problem = json.loads(body)
        return by_code(problem["code"])(problem["detail"], retry_after_s=retry_after_s)
    except (ValueError, KeyError, TypeError):
        return busy()
