"""Compares originals with what was recorded of them, both ways, and heals what is wrong.

A damaged file is set aside into `quarantine/` and fetched again: from a peer first, the origin second.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator

from image_cloud.cluster.peers import Peers
from image_cloud.db import catalog
from image_cloud.db.connect import Database
from image_cloud.errors import ImageCloudError, OriginNotFound, PeerAway
from image_cloud.fetch.load import Cache
from image_cloud.picture.record import Original, Record
from image_cloud.picture.url import Url
from image_cloud.storage.files import sha256_of
from image_cloud.storage.recorder import commit_records
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)

DAMAGED, TRUNCATED, MISSING, UNRECORDED = "damaged", "truncated", "missing", "unrecorded"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is wrong: `record` is what should be there, None where nobody knows."""

    kind: str
    key: str
    record: Record | None
    original: Original | None


class Auditor:
    """Looks at one folder of originals, or at some rows of the catalogue, at a time.

    Compares `store` with `database`; heals through `cache`, asking `peers` for lost URLs.
    """

    def __init__(self, store: Store, database: Database, peers: Peers, cache: Cache) -> None:
        self._store = store
        self._database = database
        self._peers = peers
        self._cache = cache

    def folder(self, number: int, on_read: Callable[[int], None]) -> Iterator[Finding]:
        """Yield what is wrong in folder `number` (0 to 65,535); tell `on_read` the bytes read."""
        originals = list(self._store.originals.in_folder(number))
        if not originals:
            return
        rows = self._rows([original.key for original in originals])
        for original in originals:
            finding = self._look_at(original, rows.get(original.key), on_read)
            if finding:
                yield finding

    def missing(self, key: str, limit: int) -> tuple[str, list[Finding]]:
        """Look at the next `limit` rows behind `key`; return the last key, empty at the end."""
        with self._database.transaction() as cursor:
            rows = catalog.after(cursor, key, limit)
        lost = [row for row in rows if self._store.originals.find(row.key) is None]
        if lost:  # those whose rows are gone, too, were deleted or dropped while we looked
            still = self._rows([row.key for row in lost])
            lost = [row for row in lost if row.key in still]
        findings = [self._missing(row) for row in lost]
        return rows[-1].key if len(rows) == limit else "", findings

    def _rows(self, keys: list[str]) -> dict[str, Record]:
        with self._database.transaction() as cursor:
            return catalog.find_all(cursor, keys)

    def _missing(self, row: Record) -> Finding:
        """An empty file counts as missing, but is set aside like a damaged one."""
        for is_private in (False, True):
            original = row.original(is_private=is_private)
            if self._store.originals.has_file(original):
                return Finding(TRUNCATED, row.key, row, original)
        return Finding(MISSING, row.key, row, None)

    def repair(self, finding: Finding) -> str:
        """Heal one finding; return what was done: `recorded`, `fetched`, `set aside` or `lost`.

        Raises what keeps it from being healed now.
        """
        record = finding.record or self._from_feeds(finding.key)
        if finding.kind == UNRECORDED and finding.original and record:
            path = self._store.originals.path(finding.original)
            if sha256_of(path) == record.sha256:
                self._adopt(record)
                return "recorded"
        if finding.original:
            kept = self._store.quarantine(finding.original)
            log.warning(
                "event=set_aside key=%s kind=%s file=%s", finding.key, finding.kind, kept.name
            )
        if record is None or not self._is_current(record):
            return "set aside"
        return self._fetch(record)

    def _adopt(self, record: Record) -> None:
        self._store.records.note(record)
        commit_records(self._store, self._database, [record])

    def _fetch(self, record: Record) -> str:
        try:
            self._cache.restore(record)
        except OriginNotFound:
            url = Url.parse(record.url)
            # Raises PeerAway where one cannot be asked: it may be the one that has it.
            if any(self._peers.has(peer, url, record.sha256) for peer in self._peers.all):
                raise
            self._store.drop(record)
            with self._database.transaction() as cursor:
                catalog.forget(cursor, [record])
            log.error("event=lost key=%s", record.key)
            return "lost"
        return "fetched"

    def _is_current(self, record: Record) -> bool:
        """Say whether the picture is still wanted: a delete may have come since."""
        tombstone = self._store.tombstones.find(record.key)
        return tombstone is None or not tombstone.forbids(record.stored_at)

    def _look_at(
        self, original: Original, row: Record | None, on_read: Callable[[int], None]
    ) -> Finding | None:
        noted = self._store.records.find(original.key)
        record = noted or row
        path = self._store.originals.path(original)
        try:
            size = path.stat().st_size
            if record and size != record.bytes:
                kind = TRUNCATED if size < record.bytes else DAMAGED
                return self._confirm(Finding(kind, original.key, record, original))
            digest = sha256_of(path)
        except FileNotFoundError:
            return None  # deleted or replaced while we looked
        on_read(size)
        if record and digest != record.sha256:
            return self._confirm(Finding(DAMAGED, original.key, record, original))
        if record and row is None and noted and not self._store.records.is_unrecorded(original.key):
            return self._confirm(Finding(UNRECORDED, original.key, record, original))
        if record:
            self._store.retag(record)
        if record and noted is None:
            self._adopt(record)  # the row alone knew it
        return None if record else self._confirm(Finding(UNRECORDED, original.key, None, original))

    def _confirm(self, finding: Finding) -> Finding | None:
        """Drop a finding that a store or a delete since then explains."""
        assert finding.original
        same = self._store.records.find(finding.key) in (finding.record, None)
        if finding.kind == UNRECORDED and self._rows([finding.key]):
            return None
        return finding if same and self._store.originals.has_file(finding.original) else None

    def _from_feeds(self, key: str) -> Record | None:
        for peer in self._peers.all:
            with contextlib.suppress(PeerAway, ImageCloudError):
                record = self._peers.find_record(peer, key)
                if record:
                    return record
        return None
