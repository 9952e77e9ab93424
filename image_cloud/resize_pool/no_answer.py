"""Why the resize pool did not answer: a picture crashed the decoder, or the pool is full or away."""

from __future__ import annotations

from image_cloud.errors import Busy, DecoderDied, ImageCloudError
from image_cloud.resize_pool.marks import Attempts
from image_cloud.storage.failures import RESIZE, Failures

RETRY_AFTER_S = 2.0


class NoAnswer:
    """Looks for a request's mark in `attempts`, and remembers in `failures` whose picture it was."""

    def __init__(self, attempts: Attempts, failures: Failures) -> None:
        self._attempts = attempts
        self._failures = failures

    def reason(self, request_id: str) -> ImageCloudError:
        """Return DecoderDied where that request's picture was being decoded, else Busy."""
        key = self._attempts.take(request_id)
        if key is None:
            return busy()
        error = DecoderDied()
        self._failures.remember(key, error, RESIZE)
        return error


def busy() -> Busy:
    """Return the error of a pool that does not answer."""
    return Busy("the resize pool is busy or away", retry_after_s=RETRY_AFTER_S)
