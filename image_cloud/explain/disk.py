"""What the storage has of one picture."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any

from image_cloud.picture.record import Original
from image_cloud.storage.failures import CHECK, FETCH, RESIZE, Failures
from image_cloud.storage.store import Store

Facts = dict[str, Any]


def on_disk(store: Store, failures: Failures, key: str) -> Facts:
    """Return original, variants, facts, record, last check, tombstone and remembered failures of `key`."""
    original, tombstone = store.originals.find(key), store.tombstones.find(key)
    record, gone = store.records.find(key), store.checks.gone(key)
    seen = store.checks.find(key)
    return {
        "original": _original(store, original) if original else None,
        "variants": _variants(store, original) if original else [],
        "facts": _facts(store, original) if original else None,
        "record": dataclasses.asdict(record) if record else None,
        "unrecorded": store.records.is_unrecorded(key),
        "checked_at": seen.at if seen else None,
        "gone": dataclasses.asdict(gone) if gone else None,
        "tombstone": dataclasses.asdict(tombstone) if tombstone else None,
        "failures": {kind: _failure(failures, key, kind) for kind in (FETCH, RESIZE, CHECK)},
    }


def _original(store: Store, original: Original) -> Facts:
    status = _stat(lambda: store.originals.stat(original))
    return {"file": original.relative, "is_private": original.is_private, **status}


def _variants(store: Store, original: Original) -> list[Facts]:
    names = sorted(store.variants.names(original.stem))
    paths = [store.variants.path(original.stem, name) for name in names]
    return [{"name": path.name, **_stat(path.lstat)} for path in paths]


def _facts(store: Store, original: Original) -> Facts | None:
    facts = store.variants.facts(original.stem)
    return dataclasses.asdict(facts) if facts else None


def _stat(look: Callable[[], os.stat_result]) -> Facts:
    try:
        status = look()
    except OSError as error:
        return {"error": error.strerror}
    return {"bytes": status.st_size, "modified_at": status.st_mtime, "used_at": status.st_atime}


def _failure(failures: Failures, key: str, kind: str) -> Facts | None:
    memory = failures.memory(key, kind)
    return dataclasses.asdict(memory) if memory else None
