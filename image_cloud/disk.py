"""Pictures on disk: originals, variants, and the notes of what the database does not know yet.

    originals/ab/cd/<key>.<ext>         as received
    variants/ab/cd/<key>/<name>         everything made from one original
    unrecorded/<key>.json               written before an original appears, removed after its row is
    incoming/, variants/.incoming/      temporary files

Originals belong to the run user alone; variants and failures are shared with the resize sandbox
through the group.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from image_cloud.errors import StorageUnavailable
from image_cloud.keys import fan_out
from image_cloud.recipe import EXTENSIONS

PRIVATE_DIR, SHARED_DIR = 0o750, 0o770
ORIGINAL_MODE, SHARED_MODE = 0o640, 0o660
FREE_SPACE_VALID_S = 1.0
RETRY_AFTER_S = 30.0
USUAL_EXTENSION = "jpg"


@dataclasses.dataclass(frozen=True)
class Original:
    """One original on disk; `relative` is its path below the storage root."""

    key: str
    extension: str

    @property
    def relative(self) -> str:
        """Return the path below the root."""
        return f"originals/{fan_out(self.key)}/{self.key}.{self.extension}"


@dataclasses.dataclass(frozen=True)
class Record:
    """What the catalogue keeps of an original; `stored_at` is seconds since 1970, sizes in bytes."""

    key: str
    url: str
    host: str
    format: str
    width: int | None
    height: int | None
    bytes: int
    sha256: str
    stored_at: float
    stored_from: str


class Store:
    """The storage folder of one node."""

    def __init__(self, root: Path, min_free_bytes: int = 0) -> None:
        """`root` exists or is made by `prepare`; less free space than the reserve means full."""
        self.root = root
        self._min_free_bytes = min_free_bytes
        self._free_checked = float("-inf")
        self._has_room = True

    def prepare(self) -> None:
        """Make the top folders with their modes."""
        for name in ("originals", "unrecorded", "incoming", "domains"):
            make_dir(self.root / name, PRIVATE_DIR)
        for name in ("variants", "variants/.incoming", "failures"):
            make_dir(self.root / name, SHARED_DIR)
            with contextlib.suppress(PermissionError):
                os.chmod(self.root / name, 0o2000 | SHARED_DIR)

    def original(self, key: str) -> Original | None:
        """Return the original of `key`, None where it is not here."""
        folder = f"{self.root}/originals/{fan_out(key)}"
        stem = f"{folder}/{key}."
        if os.access(stem + USUAL_EXTENSION, os.F_OK):
            return Original(key, USUAL_EXTENSION)
        if os.access(folder, os.F_OK):
            for extension in EXTENSIONS.values():
                if os.access(stem + extension, os.F_OK):
                    return Original(key, extension)
        return None

    def has_variant(self, key: str, name: str) -> bool:
        """Say whether the variant is on disk."""
        return os.path.exists(self.root / variant_path(key, name))

    def variants(self, key: str) -> set[str]:
        """Return the names of what was made from the original."""
        try:
            return set(os.listdir(self.root / "variants" / fan_out(key) / key))
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
            raise StorageUnavailable(
                f"storage: {error.strerror}", retry_after_s=RETRY_AFTER_S
            ) from error
        self._free_checked = float("-inf")
        if not self.has_room():
            raise StorageUnavailable("storage: full", retry_after_s=RETRY_AFTER_S)

    def incoming_path(self) -> Path:
        """Return a new name for a temporary file in the storage's file system."""
        return self.root / "incoming" / secrets.token_hex(16)

    def keep_original(self, temporary: Path, extension: str, record: Record) -> Original:
        """Move a finished, synced temporary file to its place; note it as unrecorded first.

        Raises OSError; then neither the note nor the original stays.
        """
        original = Original(record.key, extension)
        target = self.root / original.relative
        note = self._note_path(record.key)
        _write_synced(note, json.dumps(dataclasses.asdict(record)).encode(), ORIGINAL_MODE)
        try:
            make_dir(target.parent, PRIVATE_DIR)
            os.chmod(temporary, ORIGINAL_MODE)
            os.rename(temporary, target)
        except OSError:
            note.unlink(missing_ok=True)
            raise
        _sync_dir(target.parent)
        return original

    def unrecorded(self) -> Iterator[tuple[Path, Record]]:
        """Yield the notes of originals that the database may not know, oldest file system order."""
        for entry in os.scandir(self.root / "unrecorded"):
            if entry.name.endswith(".json"):
                with contextlib.suppress(OSError, ValueError, TypeError):
                    content = json.loads(Path(entry.path).read_bytes())
                    yield Path(entry.path), Record(**content)

    def forget_note(self, key: str) -> None:
        """Remove the note of `key`: its row is committed."""
        self._note_path(key).unlink(missing_ok=True)

    def keep_variant(self, key: str, name: str, content: bytes) -> None:
        """Write a variant: temporary file, sync, rename.  Raises OSError."""
        target = self.root / variant_path(key, name)
        temporary = self.root / "variants" / ".incoming" / secrets.token_hex(16)
        make_dir(target.parent, SHARED_DIR)
        try:
            with open(temporary, "xb", opener=_shared_opener) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, target)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def remove(self, key: str) -> bool:
        """Remove the original, its note and all variants; say whether there was an original."""
        original = self.original(key)
        if original:
            (self.root / original.relative).unlink(missing_ok=True)
        self.forget_note(key)
        shutil.rmtree(self.root / "variants" / fan_out(key) / key, ignore_errors=True)
        return original is not None

    def _note_path(self, key: str) -> Path:
        return self.root / "unrecorded" / f"{key}.json"


def variant_path(key: str, name: str) -> str:
    """Return a variant's path below the root; nginx computes the same."""
    return f"variants/{fan_out(key)}/{key}/{name}"


def make_dir(path: Path, mode: int) -> None:
    """Make a folder and its missing parents with `mode` (the processes run with umask 007)."""
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        return
    except FileNotFoundError:
        make_dir(path.parent, mode)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, mode)


def _shared_opener(path: str, flags: int) -> int:
    return os.open(path, flags, SHARED_MODE)


def _write_synced(path: Path, content: bytes, mode: int) -> None:
    temporary = path.with_name(f".{secrets.token_hex(8)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _sync_dir(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
