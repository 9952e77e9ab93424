"""The node's SQLite file of samples, which is there while PostgreSQL is not.

One process writes (daemons/sampler), any number read.  WAL: readers and writer do not wait for each other.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from image_cloud.errors import StorageUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_BYTES = 42_000_000  # of the file; its log and the log's index take up to 3 MB more
PAGE_BYTES, WAL_PAGES, WAL_BYTES = 4096, 256, 2_000_000
BUSY_S = 2.0
CACHE_KB = 256  # of 2 MB: a write touches few pages
FILE_MODE = 0o600
VERSION = 1
SCHEMA = f"""
PRAGMA journal_mode = WAL;
CREATE TABLE samples (step INTEGER NOT NULL, time INTEGER NOT NULL, facts BLOB NOT NULL);
CREATE UNIQUE INDEX samples_by_time ON samples (step, time);
CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
"""
BROKEN_BYTES = 3_000_000
FULL, BROKEN = "SQLITE_FULL", ("SQLITE_CORRUPT", "SQLITE_NOTADB")

Change = Callable[[bytes | None], bytes]
"""Makes the new facts of a sample of the old ones, None where there are none."""


@dataclasses.dataclass(frozen=True)
class Key:
    """One sample: the length of its step and when that began, in seconds (since 1970)."""

    step: int
    time: int


class HistoryReader:
    """Reads the file at `path`, for any number of threads; a file that cannot be read knows nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def samples(self, step: int, since: float, until: float) -> list[tuple[int, bytes]]:
        """Return times and facts of the samples with `since` <= time < `until`, the oldest first."""
        query = "SELECT time, facts FROM samples WHERE step = ? AND time >= ? AND time < ? ORDER BY time"
        return self._read(lambda db: db.execute(query, (step, since, until)).fetchall()) or []

    def newest(self, step: int, since: float, until: float) -> bytes | None:
        """Return the facts of the last of these samples."""
        query = (
            "SELECT facts FROM samples WHERE step = ? AND time >= ? AND time < ?"
            " ORDER BY time DESC LIMIT 1"
        )
        return self._read(lambda db: _value(db, query, step, since, until))

    def state(self, name: str) -> str | None:
        """Return what the writer keeps under `name`."""
        return self._read(lambda db: _state(db, name))

    def _read(self, read: Callable[[sqlite3.Connection], T]) -> T | None:
        try:
            with contextlib.closing(_connect(self._path)) as db:
                return read(db)
        except sqlite3.Error:
            return None


class HistoryFile:
    """Writes the file at `path`: makes it, and makes a new one where it is broken.  Of one thread alone.

    `kept` is how many samples are kept, by the length of their step.
    """

    def __init__(self, path: Path, kept: Mapping[int, int], max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._kept = kept
        self._max_pages = max_bytes // PAGE_BYTES
        self._db: sqlite3.Connection | None = None
        self._inode = 0

    def state(self, name: str) -> str | None:
        """Return what was written under `name`.  Raises StorageUnavailable."""
        return self._do(lambda db: _state(db, name))

    def write(self, samples: Mapping[Key, Change], state: Mapping[str, str]) -> None:
        """Write all of this or nothing; a full file loses its oldest samples of the steps that are most.

        Raises StorageUnavailable.
        """
        while True:
            try:
                return self._do(lambda db: _write(db, samples, state))
            except StorageUnavailable as error:
                if not _is_full(error.__cause__) or not self._do(_drop_oldest):
                    raise

    def prune(self, now: float) -> None:
        """Remove the samples that are too many: those furthest from `now`.

        By distance and not by age: a clock that was wrong for a while costs no other sample.
        Raises StorageUnavailable.
        """
        self._do(lambda db: _prune(db, self._kept, now))

    def check(self) -> None:
        """Replace the file where others cannot read it: our own connection has its pages in memory.

        Takes 40 ms of CPU for a full file.  Raises StorageUnavailable.
        """
        self._do(lambda _: _check(self._path))

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
        self._db = None

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do one transaction; where the file is broken, once more with a new one."""
        try:
            try:
                return self._transaction(work)
            except sqlite3.DatabaseError as error:
                if _name(error) not in BROKEN:
                    raise
                self._set_aside(error)
                return self._transaction(work)
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise StorageUnavailable(f"the history file: {error}") from error

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        db = self._opened()
        with db:
            db.execute("BEGIN IMMEDIATE")
            return work(db)

    def _opened(self) -> sqlite3.Connection:
        """Return the file's connection; a file that was removed is made again."""
        if self._db is None or self._inode != _inode(self._path):
            self.close()
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(self._path, flags, FILE_MODE))
            self._db = _connect(self._path)
            _prepare(self._db, self._max_pages)
            self._inode = _inode(self._path)
        return self._db

    def _set_aside(self, error: sqlite3.Error) -> None:
        """Keep the beginning of a broken file, in the place of one that was broken earlier."""
        log.error("event=history_set_aside reason=%r", str(error))
        self.close()
        for ending in ("-wal", "-shm"):
            Path(f"{self._path}{ending}").unlink(missing_ok=True)
        aside = self._path.rename(f"{self._path}.broken")
        os.truncate(aside, min(BROKEN_BYTES, aside.stat().st_size))


def _connect(path: Path) -> sqlite3.Connection:
    """Open a file that is there, transactions by hand.  Raises sqlite3.Error."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)


def _prepare(db: sqlite3.Connection, max_pages: int) -> None:
    """Set the writer's connection up, and make the tables of a new file.  Raises sqlite3.Error."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        db.executescript(SCHEMA)
    elif version != VERSION or not _is_whole(db):
        raise _Broken(f"version {version}, or damaged")
    db.executescript(
        f"PRAGMA synchronous = NORMAL; PRAGMA max_page_count = {max_pages};"
        f"PRAGMA cache_size = -{CACHE_KB};"
        f"PRAGMA wal_autocheckpoint = {WAL_PAGES}; PRAGMA journal_size_limit = {WAL_BYTES};"
    )


def _check(path: Path) -> None:
    with contextlib.closing(_connect(path)) as db:
        if not _is_whole(db):
            raise _Broken("damaged")


def _is_whole(db: sqlite3.Connection) -> bool:
    return bool(db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")


class _Broken(sqlite3.DatabaseError):
    """A file of which SQLite itself does not say that it is broken."""

    sqlite_errorname = "SQLITE_CORRUPT"


def _name(error: sqlite3.Error) -> str:
    """Return SQLite's name of an error, without the details that may follow the first two words."""
    return "_".join(getattr(error, "sqlite_errorname", "").split("_")[:2])


def _is_full(error: BaseException | None) -> bool:
    return isinstance(error, sqlite3.Error) and _name(error) == FULL


def _state(db: sqlite3.Connection, name: str) -> str | None:
    found: str | None = _value(db, "SELECT value FROM state WHERE name = ?", name)
    return found


def _value(db: sqlite3.Connection, query: str, *parameters: object) -> Any:
    """Return the one value of the one row, None without a row."""
    found = db.execute(query, parameters).fetchone()
    return None if found is None else found[0]


def _write(db: sqlite3.Connection, samples: Mapping[Key, Change], state: Mapping[str, str]) -> None:
    for key, change in samples.items():
        old = _value(
            db, "SELECT facts FROM samples WHERE step = ? AND time = ?", key.step, key.time
        )
        db.execute(
            "INSERT INTO samples VALUES (?, ?, ?)"
            " ON CONFLICT (step, time) DO UPDATE SET facts = excluded.facts",
            (key.step, key.time, change(old)),
        )
    for one in state.items():
        db.execute(
            "INSERT INTO state VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            one,
        )


def _prune(db: sqlite3.Connection, kept: Mapping[int, int], now: float) -> None:
    for step, most in kept.items():
        count = _value(db, "SELECT count(*) FROM samples WHERE step = ?", step)
        if count > most:
            db.execute(
                "DELETE FROM samples WHERE step = ? AND time IN (SELECT time FROM samples"
                " WHERE step = ? ORDER BY abs(time - ?) DESC LIMIT ?)",
                (step, step, now, count - most),
            )


def _drop_oldest(db: sqlite3.Connection) -> int:
    """Drop the oldest of the steps of which there are most: the few long ones reach back furthest.

    Return how many these are.
    """
    dropped = 0
    query = "SELECT step, count(*) FROM samples GROUP BY step ORDER BY count(*) DESC LIMIT 1"
    for step, count in db.execute(query).fetchall():
        dropped += db.execute(
            "DELETE FROM samples WHERE rowid IN"
            " (SELECT rowid FROM samples WHERE step = ? ORDER BY time LIMIT ?)",
            (step, 1 + count // 20),
        ).rowcount
    return dropped


def _inode(path: Path) -> int:
    """Return a file's inode, 0 where there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0
