"""Small durable JSON files of one dataclass each."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from pathlib import Path
from typing import TypeVar

from image_cloud.picture.record import Record, Tombstone
from image_cloud.process import json_file
from image_cloud.storage.folders import PRIVATE_DIR, PRIVATE_FILE
from image_cloud.storage.guard.trouble import is_trouble
from image_cloud.storage.new_file import NewFile

log = logging.getLogger(__name__)

Noted = TypeVar("Noted", Record, Tombstone)


def draft(path: str, noted: Record | Tombstone) -> NewFile:
    """Return the file that becomes `path` once it is synced and placed.  Raises OSError."""
    file = NewFile(os.path.dirname(path), PRIVATE_FILE)
    try:
        file.write(json.dumps(vars(noted)).encode())
    except OSError:
        file.close()
        raise
    return file


def write(path: str, noted: Record | Tombstone) -> None:
    """Replace `path` atomically and durably.  Raises OSError."""
    with draft(path, noted) as file:
        file.sync()
        file.place(path, PRIVATE_DIR)


def read(path: Path | str, kind: type[Noted]) -> Noted | None:
    """Return what is noted in `path`; None where that is not one of `kind`.

    Raises OSError where nobody can tell.
    """
    try:
        return json_file.read_strictly(path, kind)
    except ValueError:
        return None
    except OSError as error:
        if is_trouble(error):
            raise
        return None


def read_or_set_aside(path: str, kind: type[Noted], aside: str) -> Noted | None:
    """Return what is noted in `path`; move what is not one of `kind`, or cannot be, to the folder `aside`."""
    noted = read(path, kind)
    try:
        if noted is None:
            raise ValueError(f"not a {kind.__name__}")
        noted.check()
    except ValueError as error:
        if not os.path.lexists(path):
            return None
        log.error("event=note_set_aside file=%s reason=%r", os.path.basename(path), str(error))
        with contextlib.suppress(OSError):
            os.rename(path, os.path.join(aside, os.path.basename(path)))
        return None
    return noted
