"""Counts pieces of work by how they end, and times them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from image_cloud.errors import ImageCloudError
from image_cloud.metrics.definitions import OK
from image_cloud.metrics.series import Counter, Histogram


@contextlib.contextmanager
def timed(ends: Counter, seconds: Histogram) -> Iterator[None]:
    """Count the block under `ok`, or the code of the error that it raises, and note how long it took."""
    began = time.monotonic()
    try:
        yield
    except Exception as error:
        _note(ends, code_of(error), seconds, began)
        raise
    _note(ends, OK, seconds, began)


def _note(ends: Counter, end: str, seconds: Histogram, began: float) -> None:
    ends.add(end)
    seconds.observe(time.monotonic() - began)


def code_of(error: Exception) -> str:
    """Return what an error is counted as: the code of one of ours."""
    code = getattr(error, "code", None)
    return code if isinstance(code, str) else ImageCloudError.code
