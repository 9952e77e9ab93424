"""Pictures on disk: originals, variants, and the notes of what the database does not know yet.

    originals/ab/cd/<key>.<ext>         as received
    variants/ab/cd/<key>/<name>         everything made from one original
    unrecorded/<key>.json               written before an original appears; when its row is committed
    records/ab/cd/<key>.json            it moves here: the catalogue can be rebuilt from files alone
    unrecorded/<key>.deleted.json       a delete that the database does not know yet
    tombstones/ab/cd/<key>.json         what was deleted (image_cloud/storage/tombstones.py)
    quarantine/                         damaged originals, set aside
    incoming/, variants/.incoming/      files on their way, where they need a name
    cluster/                            what the daemons remember of peers

Originals belong to the run user alone; variants and failures are shared with the resize sandbox
through the group.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from image_cloud.errors import StorageUnavailable
from image_cloud.picture.key import fan_out
from image_cloud.picture.record import Original, Record, Tombstone
from image_cloud.picture.variant import EXTENSIONS
from image_cloud.process.locks import locked
from image_cloud.storage.new_file import NewFile, make_dir, move, remove, sync, sync_together
from image_cloud.storage.tombstones import Tombstones

PRIVATE_DIR, SHARED_DIR = 0o750, 0o770
ORIGINAL_MODE, SHARED_MODE = 0o640, 0o660
FREE_SPACE_VALID_S = 1.0
RETRY_AFTER_S = 30.0
FULL = (errno.ENOSPC, errno.EDQUOT)
PLACING_PATIENCE_S = 10.0
PRIVATE_FOLDERS = (
    "originals", "unrecorded", "records", "tombstones", "quarantine", "incoming", "cluster",
    "domains",
)  # fmt: skip
USUAL_EXTENSION = "jpg"


class Store:
    """The storage folder of one node.

    `root` exists or is made by `prepare`; less free space than the reserve means full.
    """

    def __init__(self, root: Path, min_free_bytes: int = 0) -> None:
        self.root = root
        self.tombstones = Tombstones(root)
        self._placing_file = root / "cluster" / ".placing"
        self._min_free_bytes = min_free_bytes
        self._free_checked = float("-inf")
        self._has_room = True

    def prepare(self) -> None:
        """Make the top folders with their modes."""
        for name in PRIVATE_FOLDERS:
            make_dir(self.root / name, PRIVATE_DIR)
        for name in ("variants", "variants/.incoming", "failures"):
            make_dir(self.root / name, SHARED_DIR)
            with contextlib.suppress(PermissionError):
                os.chmod(self.root / name, 0o2000 | SHARED_DIR)

    def original(self, key: str) -> Original | None:
        """Return the original of `key`, None where it is not here; an empty file is none."""
        folder = f"{self.root}/originals/{fan_out(key)}"
        stem = f"{folder}/{key}."
        if _has_bytes(stem + USUAL_EXTENSION):
            return Original(key, USUAL_EXTENSION)
        if os.access(folder, os.F_OK):
            for extension in EXTENSIONS.values():
                if _has_bytes(stem + extension):
                    return Original(key, extension)
        return None

    def has_variant(self, key: str, name: str) -> bool:
        """Say whether the variant is on disk; an empty file is none."""
        return _has_bytes(f"{self.root}/{variant_path(key, name)}")

    def variants(self, key: str) -> set[str]:
        """Return the names of what was made from the original."""
        try:
            return set(os.listdir(f"{self.root}/variants/{fan_out(key)}/{key}"))
        except FileNotFoundError:
            return set()

    def has_room(self) -> bool:
        """Say whether more may be stored: the reserve is free (looked up once a second)."""
        now = time.monotonic()
        if now - self._free_checked > FREE_SPACE_VALID_S:
            self._free_checked = now
            status = os.statvfs(self.root)
            self._has_room = status.f_bavail * status.f_frsize >= self._min_free_bytes
        return self._has_room

    def check_writable(self) -> None:
        """Write and remove a small file.  Raises StorageUnavailable with the reason."""
        probe = self.root / "incoming" / f".probe-{secrets.token_hex(8)}"
        try:
            probe.write_bytes(b"x")
            probe.unlink()
        except OSError as error:
            reason = "full" if error.errno in FULL else error.strerror
            raise StorageUnavailable(f"storage: {reason}", retry_after_s=RETRY_AFTER_S) from error
        self._free_checked = float("-inf")
        if not self.has_room():
            raise StorageUnavailable("storage: full", retry_after_s=RETRY_AFTER_S)

    def new_original(self) -> NewFile:
        """Return a file to write an original to.  Raises OSError."""
        return NewFile(f"{self.root}/incoming", ORIGINAL_MODE)

    def keep_original(
        self, file: NewFile, extension: str, record: Record, *, lasts: bool = True
    ) -> Original:
        """Place `file`; note it as unrecorded first.  Neither has its name before its content is on disk.

        Without `lasts` a crash of the machine within seconds may lose both, until `make_last`.
        A newer original that is here already stays, and is returned.
        Raises OSError, Blocked and DeletedMeanwhile; then neither the note nor the file stays.
        """
        original = Original(record.key, extension)
        with self._placing(record.key):
            self.tombstones.check(record.key, record.stored_at)
            before = self.original(record.key)
            known = self.record(record.key) if before else None
            if before and known and known.version >= record.version:
                return before
            note_path = self._note_path(record.key)
            with _new_note(note_path, _json_of(record)) as note:
                sync_together(file, note)
                note.place(note_path, PRIVATE_DIR)
            try:
                self._place(file, original, record.stored_at)
                if lasts:
                    file.sync()
                    sync(f"{self.root}/originals/{fan_out(record.key)}")
            except OSError:
                self.forget_note(record.key)
                raise
            if before:
                self._forget_replaced(before, original)
        return original

    def _place(self, file: NewFile, original: Original, stored_at: float) -> None:
        os.fchmod(file.descriptor, ORIGINAL_MODE)
        # Last-Modified and ETag come from it: the same on every node.
        modified = min(stored_at, time.time())
        os.utime(file.descriptor, (modified, modified))
        file.place(f"{self.root}/{original.relative}", PRIVATE_DIR)

    def make_last(self, records: Iterable[Record]) -> None:
        """Make sure that originals kept a moment ago survive a crash of the machine."""
        for record in records:
            path = f"{self.root}/{Original(record.key, EXTENSIONS[record.format]).relative}"
            with contextlib.suppress(FileNotFoundError):
                sync(path)
                sync(os.path.dirname(path))

    def _forget_replaced(self, before: Original, now: Original) -> None:
        if before != now:
            (self.root / before.relative).unlink(missing_ok=True)
        self._remove_variants(now.key)

    def record(self, key: str) -> Record | None:
        """Return what is noted of the original of `key` on disk."""
        return read_record(self._note_path(key)) or read_record(self._record_path(key))

    def note(self, record: Record) -> None:
        """Write the note of an original that is here already.  Raises OSError."""
        _write_note(self._note_path(record.key), _json_of(record))

    def has_note(self, key: str) -> bool:
        """Say whether the database may not know the original of `key` yet."""
        return os.path.exists(self._note_path(key))

    def original_or_empty(self, original: Original) -> bool:
        """Say whether the file is there, be it empty."""
        return os.path.exists(self.root / original.relative)

    def placed_at(self, key: str) -> float:
        """Return when the original of `key` came here, seconds since 1970; 0 where there is none."""
        original = self.original(key)
        with contextlib.suppress(FileNotFoundError):
            return os.stat(self.root / original.relative).st_ctime if original else 0.0
        return 0.0

    def restamp(self, record: Record) -> None:
        """Note a newer store of the same bytes.  Raises OSError, Blocked, DeletedMeanwhile."""
        with self._placing(record.key):
            self.tombstones.check(record.key, record.stored_at)
            original = self.original(record.key)
            if original:
                _write_note(self._note_path(record.key), _json_of(record))
                modified = min(record.stored_at, time.time())
                os.utime(self.root / original.relative, (modified, modified))

    def unrecorded(self, before: float = math.inf) -> Iterator[tuple[float, Record]]:
        """Yield when a note was written and of which original, in the file system's order.

        These are the originals that the database may not know.  Younger notes than `before` (seconds since
        1970) are not even read.
        """
        for entry in os.scandir(self.root / "unrecorded"):
            if entry.name.endswith(".json") and (written := modified(entry)) <= before:
                record = read_record(entry.path)
                if record:
                    yield written, record

    def settle_note(self, record: Record) -> None:
        """Move the note of `record` to the records: its row is committed."""
        note, target = self._note_path(record.key), self._record_path(record.key)
        noted = read_record(note)
        if noted is None or noted.version != record.version:
            return  # a newer store has come meanwhile
        with contextlib.suppress(OSError):
            move(note, target, PRIVATE_DIR)

    def forget_note(self, key: str) -> None:
        """Remove the note of `key`: its original never came."""
        remove(self._note_path(key))

    def bury(self, tombstone: Tombstone, now: float) -> bool:
        """Write the tombstone and remove what it forbids; say whether an original was removed.

        A note remains until the database knows.  `now` is the cluster's time: a store later than
        that does not count as newer.  Raises OSError; then nothing but the picture is gone.
        """
        with self._placing(tombstone.key):
            known = self.tombstones.find(tombstone.key)
            if known and known.deleted_at > tombstone.deleted_at:
                return False
            record = self.record(tombstone.key)
            stays = record and not tombstone.forbids(record.stored_at) and record.stored_at <= now
            if stays:
                self._write_tombstone(tombstone)
                return False
            try:
                self._write_tombstone(tombstone)
            except OSError:  # a full disk: removing the picture makes room
                was_here = self.remove(tombstone.key)
                self._write_tombstone(tombstone)
                return was_here
            return self.remove(tombstone.key)

    def _write_tombstone(self, tombstone: Tombstone) -> None:
        """Write the note for the database, and then the tombstone: found together or not at all."""
        content = _json_of(tombstone)
        _write_note(self._delete_note_path(tombstone.key), content)
        target = self.tombstones.path(tombstone.key)
        make_dir(os.path.dirname(target), PRIVATE_DIR)
        _write_note(target, content)

    def unrecorded_deletes(self) -> Iterator[Tombstone]:
        """Yield the deletes that the database may not know."""
        for entry in os.scandir(self.root / "unrecorded"):
            if entry.name.endswith(".deleted.json"):
                with contextlib.suppress(OSError, ValueError, TypeError):
                    yield Tombstone(**json.loads(Path(entry.path).read_bytes()))

    def settle_delete(self, tombstone: Tombstone) -> None:
        """Remove the note of a delete: the database knows it."""
        path = self._delete_note_path(tombstone.key)
        with contextlib.suppress(OSError, ValueError, TypeError):
            if Tombstone(**json.loads(_content(path))) == tombstone:
                remove(path)

    def set_aside(self, original: Original) -> Path:
        """Move a damaged original, and its variants, out of the way; return where it is kept."""
        target = self.root / "quarantine" / f"{original.key}.{original.extension}"
        with self._placing(original.key):
            with contextlib.suppress(FileNotFoundError):
                os.rename(self.root / original.relative, target)
            self._remove_variants(original.key)
        return target

    def keep_variants(self, key: str, files: dict[str, bytes]) -> dict[str, OSError]:
        """Write variants by their names; return those that could not be kept, and why not."""
        made: dict[str, NewFile] = {}
        failed: dict[str, OSError] = {}
        with contextlib.ExitStack() as stack:
            for name, content in files.items():
                try:
                    file = NewFile(f"{self.root}/variants/.incoming", SHARED_MODE)
                    stack.enter_context(file).write(content)
                    made[name] = file
                except OSError as error:
                    failed[name] = error
            if made:
                try:
                    sync_together(*made.values())
                except OSError as error:
                    return dict.fromkeys(files, error)
            for name, file in made.items():
                try:
                    file.place(f"{self.root}/{variant_path(key, name)}", SHARED_DIR)
                except OSError as error:
                    failed[name] = error
        return failed

    def remove(self, key: str) -> bool:
        """Remove the original, its notes and all variants; say whether there was an original."""
        original = self.original(key)
        for extension in EXTENSIONS.values():  # an empty or doubled file, too
            path = Original(key, extension).relative
            (self.root / path).unlink(missing_ok=True)
        self.forget_note(key)
        remove(self._record_path(key))
        self._remove_variants(key)
        return original is not None

    def drop(self, record: Record) -> None:
        """Remove a copy that need not be here, unless it has changed meanwhile; no tombstone."""
        with self._placing(record.key):
            known = self.record(record.key)
            if known is None or known.version == record.version:
                self.remove(record.key)

    def version(self, original: Original) -> tuple[int, int] | None:
        """Return what changes when the file is replaced; None where it is gone."""
        try:
            status = os.stat(f"{self.root}/{original.relative}")
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_size

    def remove_variant(self, key: str, name: str) -> None:
        """Remove one variant, and its folder if that was the last."""
        path = self.root / variant_path(key, name)
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.parent.rmdir()

    def _remove_variants(self, key: str) -> None:
        shutil.rmtree(self.root / "variants" / fan_out(key) / key, ignore_errors=True)

    def _placing(self, key: str) -> contextlib.AbstractContextManager[None]:
        """Hold the lock under which a picture appears or goes, for milliseconds."""
        return locked(self._placing_file, key, PLACING_PATIENCE_S)

    # Text, not Path: making one of those costs more than the look at the disk.

    def _note_path(self, key: str) -> str:
        return f"{self.root}/unrecorded/{key}.json"

    def _delete_note_path(self, key: str) -> str:
        return f"{self.root}/unrecorded/{key}.deleted.json"

    def _record_path(self, key: str) -> str:
        return f"{self.root}/records/{fan_out(key)}/{key}.json"


def _has_bytes(path: str) -> bool:
    try:
        return os.stat(path).st_size > 0
    except OSError:
        return False


def read_record(path: Path | str) -> Record | None:
    """Return the record in a note's or record's file; None for any other."""
    try:
        return Record(**json.loads(_content(path)))
    except (OSError, ValueError, TypeError):
        return None


def sha256_of(path: Path) -> str:
    """Return the hex SHA-256 of a file.  Raises OSError."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def variant_path(key: str, name: str) -> str:
    """Return a variant's path below the root; nginx computes the same."""
    return f"variants/{fan_out(key)}/{key}/{name}"


def modified(path: str | os.PathLike[str]) -> float:
    """Return when a file was written last; one that is gone meanwhile is younger than any other."""
    try:
        return os.stat(path).st_mtime
    except FileNotFoundError:
        return math.inf


def _json_of(content: Record | Tombstone) -> bytes:
    return json.dumps(vars(content)).encode()


def _content(path: Path | str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()


def _new_note(path: str, content: bytes) -> NewFile:
    note = NewFile(os.path.dirname(path), ORIGINAL_MODE)
    try:
        note.write(content)
    except OSError:
        note.close()
        raise
    return note


def _write_note(path: str, content: bytes) -> None:
    with _new_note(path, content) as note:
        note.sync()
        note.place(path, PRIVATE_DIR)
