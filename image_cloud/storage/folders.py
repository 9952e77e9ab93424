"""The folders of a storage and their modes.

Originals and what is known of them belong to the run user alone; variants and failures are shared with
the resize sandbox through the group.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from image_cloud.storage.files import make_dir

PRIVATE_DIR, SHARED_DIR = 0o750, 0o770
PRIVATE_FILE, SHARED_FILE = 0o640, 0o660
PRIVATE_FOLDERS = (
    "originals", "unrecorded", "records", "tombstones", "quarantine", "incoming", "cluster",
    "domains",
)  # fmt: skip
SHARED_FOLDERS = ("variants", "variants/.incoming", "failures")


def make_folders(root: Path) -> None:
    """Make every folder below `root`."""
    for name in (*PRIVATE_FOLDERS, *SHARED_FOLDERS):
        make_folder(root, name)


def make_folder(root: Path, name: str) -> None:
    """Make the folder called `name`, one of the lists above, below `root`."""
    path = root / name
    if name in SHARED_FOLDERS:
        make_dir(path, SHARED_DIR)
        with contextlib.suppress(PermissionError):  # another user's already
            os.chmod(path, 0o2000 | SHARED_DIR)
    else:
        make_dir(path, PRIVATE_DIR)
