"""The lines of nginx's access log (nginx/nginx.conf.in): one JSON object each."""

from __future__ import annotations

import collections
import datetime
import functools
import re
from typing import NamedTuple

from image_cloud.metrics.requests import Answered

_LINE = re.compile(
    rb'^\{"time":"([^"]{19,32})","request_id":"[^"]*","method":"[^"]*","route":"([^"]*)",'
    rb'"file":"/?(?:(variants/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{64}(?:\.private)?/[a-z0-9.-]{1,60})|[^"]*)",'
    rb'"status":(\d{3}),"bytes":(\d{1,15}),"seconds":(\d{1,6}\.\d{3}),"cache":"([A-Z]{0,8})"(,"code")?'
    rb'(?:[^\n]*,"token_client":"([A-Za-z0-9._-]{1,63})")?',
    re.MULTILINE,
)
"""Only lines of a request that a pool had a part in have a code, empty or not."""


class Line(NamedTuple):
    """One answer of nginx.

    `time` is when it ended, in seconds since 1970, None where that does not read; `variant` is the path below
    the storage of the variant that was sent, empty without one.
    """

    time: int | None
    variant: str
    answered: Answered


def parse(lines: bytes) -> dict[Line, int]:
    """Return what the log says, and how often; what is no line of the log is passed over."""
    found = collections.Counter(_LINE.findall(lines))
    return {_line(*facts): times for facts, times in found.items()}


def _line(
    time: bytes,
    route: bytes,
    variant: bytes,
    status: bytes,
    size: bytes,
    seconds: bytes,
    cache: bytes,
    code: bytes,
    client: bytes,
) -> Line:
    answered = Answered(
        route.decode("latin-1"),
        int(status),
        float(seconds),
        int(size),
        cache.decode(),
        client.decode(),
        by_pool=bool(code),
    )
    return Line(_time(time.decode("latin-1")), variant.decode(), answered)


@functools.lru_cache(1024)
def _time(text: str) -> int | None:
    try:
        return int(datetime.datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        return None
