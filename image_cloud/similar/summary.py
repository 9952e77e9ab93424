"""How many near-duplicates the catalogue holds: what is the same is counted, what is similar estimated."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from typing import Any

from image_cloud.db import hashes, whole_catalog
from image_cloud.db.connect import Database
from image_cloud.picture.dhash import dhash_of
from image_cloud.similar.request import SimilarRequest
from image_cloud.similar.search import Similar

PLAIN_BITS = 4
"""A hash with fewer bits set is that of a picture with hardly any detail: what it resembles says nothing."""
SURE = 1.96
"""Standard deviations within which 19 of 20 estimates lie."""


def summary(
    database: Database, within: int, sample: int, told: Callable[[], object]
) -> dict[str, Any]:
    """Return the counts as JSON; `told` hears of each picture of the sample.  Raises DatabaseUnavailable."""
    with database.transaction() as cursor:
        pictures, _ = whole_catalog.count(cursor)
        known, plain = hashes.count(cursor, PLAIN_BITS)
        same_bytes = hashes.same_bytes(cursor)
        same_hash = hashes.same_hash(cursor, PLAIN_BITS)
        chosen = _chosen(cursor, min(sample, known - plain))
    near = sum(_has_near(database, within, *one, told) for one in chosen)
    return {
        "pictures": pictures,
        "hashes": known,
        "plain": plain,
        "same_bytes": vars(same_bytes),
        "same_hash": vars(same_hash),
        "similar": _estimate(within, len(chosen), near),
    }


def _chosen(cursor: Any, count: int) -> list[tuple[str, int]]:
    """Return pictures from a random place on, and then from the first on."""
    start = secrets.token_hex(32)
    chosen = dict(hashes.sample(cursor, start, count, PLAIN_BITS))
    if len(chosen) < count:
        chosen |= hashes.sample(cursor, "", count, PLAIN_BITS)
    return list(chosen.items())[:count]


def _has_near(
    database: Database, within: int, key: str, code: int, told: Callable[[], object]
) -> bool:
    told()
    asked = SimilarRequest(None, dhash_of(code), within, limit=1, but_key=key)
    return bool(Similar(database).search(asked)["pictures"])


def _estimate(within: int, sample: int, near: int) -> dict[str, Any]:
    """Return the share of pictures that have another one within that distance, and how sure that is."""
    share = near / sample if sample else 0.0
    margin = SURE * math.sqrt(share * (1 - share) / sample) if sample else 0.0
    return {
        "within": within,
        "sample": sample,
        "share": round(share, 4),
        "margin": round(margin, 4),
    }
