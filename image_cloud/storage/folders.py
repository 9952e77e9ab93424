"""The folders of a storage and their modes: all belong to the run user, and others have no way in."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from pathlib import Path

from image_cloud.storage.files import make_dir

PRIVATE_DIR, PRIVATE_FILE = 0o750, 0o640
LOCAL = (
    "variants", "variants/.incoming", "failures", "checked", "incoming", "cluster", "domains",
    "fallback", "arriving",
)  # fmt: skip
"""Those of `[storage] variants_path`: what a hit looks at, and what is of one node alone."""
FOLDERS = (
    "originals", "unrecorded", "records", "tombstones", "quarantine", "incoming", "cluster",
    "domains", "variants", "variants/.incoming", "failures", "checked", "fallback", "arriving",
)  # fmt: skip

_GET_FLAGS, _SET_FLAGS, _TOP_OF_HIERARCHIES = 0x80086601, 0x40086602, 0x20000  # linux/fs.h
_FLAGS = struct.Struct("l")


def spread(root: Path) -> None:
    """Have each folder that is made in `root` begin in another part of the disk, as `chattr +T` does.

    ext4 keeps a folder near its parent else, and without a journal passes over what others deleted there
    lately, at each new file.  Other file systems know no such hint.
    """
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            flags = _FLAGS.unpack(fcntl.ioctl(descriptor, _GET_FLAGS, bytes(_FLAGS.size)))[0]
            fcntl.ioctl(descriptor, _SET_FLAGS, _FLAGS.pack(flags | _TOP_OF_HIERARCHIES))
    finally:
        os.close(descriptor)


def make_folders(root: Path) -> None:
    """Make every folder below `root`."""
    spread(root)
    for name in FOLDERS:
        make_folder(root, name)


def make_folder(root: Path, name: str) -> None:
    """Make the folder called `name`, one of the list above, below `root`."""
    make_dir(root / name, PRIVATE_DIR)
