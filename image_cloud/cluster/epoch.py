"""Notices that the database is not the one it was: restored from a backup, or new.

A file in the storage remembers the feed's epoch and how far its transactions had come.  A database
that has another epoch, or lies behind, was replaced: its feed becomes a new epoch, which peers then
read from the start, and the catalogue is rebuilt from the files (daemons/peer_clone/rebuild.py).
"""

from __future__ import annotations

import json
import logging
import os
import secrets
from pathlib import Path
from typing import Any

from image_cloud.db import feed
from image_cloud.db.connect import Database
from image_cloud.errors import Resynchronising

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5.0


class FeedGuard:
    """Compares the database with what the storage remembers of it.

    `path` is the file that remembers.
    """

    def __init__(self, path: Path, database: Database) -> None:
        self._path = path
        self._database = database

    def check(self, epoch: str, next_xid: int) -> None:
        """Raise Resynchronising where the feed is not the remembered one: its epoch must end first."""
        known = self._read()
        if known and not _is_same(known, epoch, next_xid):
            raise Resynchronising(
                "the database was replaced; its feed begins anew", retry_after_s=RETRY_AFTER_S
            )

    def needs_rebuild(self) -> bool:
        """Say whether the catalogue is still to be rebuilt from the files."""
        return bool(self._read().get("rebuild"))

    def rebuilt(self) -> None:
        """Note that the catalogue is complete again."""
        self._write({**self._read(), "rebuild": False})

    def step(self) -> bool:
        """Remember how far the feed is, or begin a new epoch; say whether one was begun.

        Raises DatabaseUnavailable.
        """
        known = self._read()
        with self._database.transaction() as cursor:
            epoch, next_xid = feed.state(cursor)
            replaced = bool(known) and not _is_same(known, epoch, next_xid)
            if replaced:
                epoch = feed.renew(cursor)
                _, next_xid = feed.state(cursor)
        if replaced:
            log.warning("event=database_replaced epoch=%s known=%s", epoch, known.get("epoch"))
        now = {"epoch": epoch, "xid": next_xid}
        # Files without a file that remembers: an older storage, or a lost one; a rebuild tells.
        now["rebuild"] = replaced or not known or bool(known.get("rebuild"))
        if now != known:
            self._write(now)
        return replaced

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._path.read_bytes())
            return content if isinstance(content.get("xid"), int) else {}
        except (OSError, ValueError, AttributeError):
            return {}

    def _write(self, content: dict[str, Any]) -> None:
        temporary = self._path.with_name(f".{secrets.token_hex(8)}")
        temporary.write_text(json.dumps(content))
        os.replace(temporary, self._path)


def _is_same(known: dict[str, Any], epoch: str, next_xid: int) -> bool:
    return bool(known["epoch"] == epoch and known["xid"] <= next_xid)
