"""Clone requests that need no transfer: what is wanted is here already, or not wanted any more."""

from __future__ import annotations

from collections.abc import Sequence

from image_cloud.db.clones import Request
from image_cloud.picture.headers.validators import NONE
from image_cloud.picture.record import Check, Record
from image_cloud.storage.files import sha256_of
from image_cloud.storage.new_file import FoundFile
from image_cloud.storage.originals import Originals
from image_cloud.storage.store import Store


def found_here(store: Store, wanted: Record) -> Record | None:
    """Return the record of the picture where it is here, or was set aside; None where it must be fetched.

    Raises Blocked, DeletedMeanwhile, OSError.
    """
    store.tombstones.check(wanted.key, wanted.stored_at)
    here = store.records.find(wanted.key)
    if here and store.originals.find(wanted.key):
        if here.version >= wanted.version:
            return here
        if here.sha256 == wanted.sha256:
            store.restamp(wanted)
            return wanted
    return _from_aside(store, wanted)


def _from_aside(store: Store, wanted: Record) -> Record | None:
    """Take back what stands aside while this node resynchronises (image_cloud/cluster/absence.py)."""
    aside = Originals(store.root / "aside")
    original = aside.find(wanted.key)
    if original is None:
        return None
    path = aside.path(original)
    if path.stat().st_size != wanted.bytes or sha256_of(path) != wanted.sha256:
        return None
    with FoundFile(path) as file:
        store.place(file, wanted, is_private=original.is_private)
    return wanted


def checks_of(store: Store, cloned: Sequence[tuple[Record, Request]]) -> list[Check]:
    """Note, with each picture that is here now, when it was last seen at its origin; return that."""
    checks = []
    for record, request in cloned:
        at = request.checked_at
        if at is not None and store.confirm(record, at, NONE):
            checks.append(Check(record.key, record.sha256, at, at, **vars(record.validators)))
    return checks
