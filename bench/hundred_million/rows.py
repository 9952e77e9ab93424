"""Rows of the catalogue as the product writes them, in any number."""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Iterator

from image_cloud.picture.key import key_of
from image_cloud.picture.record import Record

SHOPS, DELETED_EVERY, AT_ONCE = 5000, 100, 20_000
DAY_S, EPOCH_J = 86400, 2_440_588  # the Julian day of 1970-01-01
COLUMNS = (
    "key", "url", "host", "format", "width", "height", "bytes", "sha256", "stored_at", "stored_from",
    "etag", "last_modified", "deleted_at",
)  # fmt: skip
COPY = f"COPY images ({', '.join(COLUMNS)}) FROM STDIN"


def record(number: int) -> Record:
    """Return the picture of a number: its shop's URL is about 80 characters long."""
    host = f"shop{number % SHOPS}.example"
    url = (
        f"https://{host}/media/catalog/product"
        f"/{number % 97:02d}/{number % 89:02d}/article-{number:09d}-front.jpg"
    )
    return Record(
        key_of(url), url, host, "jpeg", 1200, 1600, 60_000 + number % 180_000,
        hashlib.sha256(url.encode()).hexdigest(), 1.75e9 + number % (400 * DAY_S), "origin",
        f'"{number:x}-5f3a"', "Mon, 03 Nov 2025 08:00:00 GMT",
    )  # fmt: skip


def fill(dsn: str, count: int) -> None:
    """Write `count` rows, each hundredth a tombstone, in transactions of `AT_ONCE`.

    By psql: connections of ours wait in a way that COPY cannot (image_cloud/db/patience.py).
    """
    for first in range(0, count, AT_ONCE):
        text = "".join(_lines(range(first, min(first + AT_ONCE, count))))
        subprocess.run(["psql", "-X", "-q", "-c", COPY, dsn], input=text, text=True, check=True)


def _lines(numbers: range) -> Iterator[str]:
    now = time.time()
    for number in numbers:
        one = record(number)
        deleted_at = r"\N" if number % DELETED_EVERY else _stamp(now - number % (80 * DAY_S))
        yield "\t".join([
            one.key, one.url, one.host, one.format, str(one.width), str(one.height), str(one.bytes),
            one.sha256, _stamp(one.stored_at), one.stored_from, one.etag or r"\N",
            one.last_modified or r"\N", deleted_at,
        ]) + "\n"  # fmt: skip


def _stamp(time_s: float) -> str:
    """Return a time as PostgreSQL reads it: days are quicker to write than dates."""
    days, seconds = divmod(int(time_s), DAY_S)
    return f"J{EPOCH_J + days} {seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}+00"
