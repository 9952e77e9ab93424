"""Small durable JSON files of one dataclass each."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TypeVar

from image_cloud.picture.record import Record, Tombstone
from image_cloud.process import json_file
from image_cloud.storage.folders import PRIVATE_DIR, PRIVATE_FILE
from image_cloud.storage.new_file import NewFile

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
    """Return what is noted in `path`; None where that is not one of `kind`."""
    return json_file.read(path, kind)
