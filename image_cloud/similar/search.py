"""Searches the catalogue for pictures whose hashes differ in few bits."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from psycopg2.extensions import cursor as Cursor

from image_cloud.db import hashes
from image_cloud.db.connect import Database
from image_cloud.picture.dhash import code_of, dhash_of
from image_cloud.picture.record import Record
from image_cloud.similar.request import SimilarRequest

MOST_CODES = 10_000
"""A hash of hardly any detail has so many neighbours; the nearest count."""


class Similar:
    """Searches the catalogue in `database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def search(self, asked: SimilarRequest) -> dict[str, Any]:
        """Return the similar pictures as JSON, the most similar first.  Raises DatabaseUnavailable."""
        with self._database.transaction() as cursor:
            found = list(itertools.islice(_found(cursor, asked), asked.limit + 1))
        return {
            "dhash": asked.dhash,
            "within": asked.within,
            "pictures": [_described(*one) for one in found[: asked.limit]],
            "is_all": len(found) <= asked.limit,
        }


def _found(cursor: Cursor, asked: SimilarRequest) -> Iterator[tuple[int, str, Record]]:
    """Yield distance, hash and record of similar pictures, by their distance, then by their key."""
    near = hashes.codes_near(cursor, code_of(asked.dhash), asked.within, MOST_CODES)
    for distance, codes in itertools.groupby(near, near.__getitem__):
        ones = hashes.of_codes(cursor, list(codes), asked.but_key, asked.limit + 1)
        for code, record in sorted(ones, key=lambda one: one[1].key):
            yield distance, dhash_of(code), record


def _described(distance: int, dhash: str, record: Record) -> dict[str, Any]:
    return {
        "url": record.url,
        "key": record.key,
        "distance": distance,
        "dhash": dhash,
        "format": record.format,
        "width": record.width,
        "height": record.height,
        "bytes": record.bytes,
        "sha256": record.sha256,
        "stored_at": record.stored_at,
    }
