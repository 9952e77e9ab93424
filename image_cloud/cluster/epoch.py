"""Detects a database that was restored from a backup or replaced.

A file in the storage remembers the feed's epoch and how far its transactions had come.  A database
that has another epoch, or lies behind, was replaced: its feed becomes a new epoch, which peers then
read from the start, and the catalogue is rebuilt from the files (daemons/peer_clone/rebuild.py).
"""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

from image_cloud.db import feed
from image_cloud.db.connect import Database
from image_cloud.db.feed import Position
from image_cloud.errors import Resynchronising
from image_cloud.process import json_file
from image_cloud.process.steps import GoOn

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5.0
ROWS_AT_ONCE = 5000
NO_EPOCH = ""
"""No feed has it: the file remembers it while a new epoch is being prepared."""


@dataclasses.dataclass(frozen=True)
class Known:
    """What is remembered of the feed: its epoch, its next transaction, and that a `rebuild` is due."""

    epoch: str
    xid: int
    rebuild: bool = False

    def is_same(self, epoch: str, next_xid: int) -> bool:
        """Return whether the present feed can be the remembered one."""
        return self.epoch == epoch and self.xid <= next_xid


class FeedGuard:
    """Compares the database with what the storage remembers of it.

    `path` is the file that remembers.  A replaced database's rows are written again `rows_at_once`.
    """

    def __init__(self, path: Path, database: Database, rows_at_once: int = ROWS_AT_ONCE) -> None:
        self._path = path
        self._database = database
        self._rows_at_once = rows_at_once

    def check(self, epoch: str, next_xid: int) -> None:
        """Raise Resynchronising where the feed is not the remembered one: its epoch must end first."""
        known = self._read()
        if known and not known.is_same(epoch, next_xid):
            raise Resynchronising(
                "the database was replaced; its feed starts over", retry_after_s=RETRY_AFTER_S
            )

    def needs_rebuild(self) -> bool:
        """Return whether the catalogue has yet to be rebuilt from the files."""
        known = self._read()
        return known is not None and known.rebuild

    def rebuilt(self) -> None:
        """Note that the catalogue is complete again."""
        known = self._read()
        if known:
            json_file.write(self._path, dataclasses.replace(known, rebuild=False))

    def step(self, go_on: GoOn = lambda: True) -> bool:
        """Remember how far the feed is, or begin a new epoch; say whether one was begun.

        One that is broken off by `go_on` goes on with the next step.  Raises DatabaseUnavailable.
        """
        known = self._read()
        with self._database.transaction() as cursor:
            epoch, next_xid = feed.state(cursor)
        replaced = known is not None and not known.is_same(epoch, next_xid)
        if known and replaced:
            if not self._prepare(known, go_on):
                return False
            with self._database.transaction() as cursor:
                epoch = feed.renew(cursor)
                _, next_xid = feed.state(cursor)
            log.warning("event=database_replaced epoch=%s known=%s", epoch, known.epoch)
        # Files without a file that remembers: an older storage, or a lost one; a rebuild tells.
        now = Known(epoch, next_xid, rebuild=replaced or known is None or known.rebuild)
        if now != known:
            json_file.write(self._path, now)
        return replaced

    def _prepare(self, known: Known, go_on: GoOn) -> bool:
        """Have the new feed hand out all rows: a dump's carry the old server's transactions.

        That takes hours with 100 million rows; meanwhile the feed counts as replaced, whoever writes.
        """
        json_file.write(self._path, Known(NO_EPOCH, known.xid, rebuild=True))
        place: Position | None = Position(NO_EPOCH)
        while place and go_on():
            with self._database.transaction() as cursor:
                place = feed.rewrite(cursor, place, self._rows_at_once)
        return place is None

    def _read(self) -> Known | None:
        return json_file.read(self._path, Known)
