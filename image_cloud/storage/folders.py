"""The folders of a storage and their modes: all belong to the run user, and others have no way in."""

from __future__ import annotations

from pathlib import Path

from image_cloud.storage.files import make_dir

PRIVATE_DIR, PRIVATE_FILE = 0o750, 0o640
LOCAL = (
    "variants", "variants/.incoming", "failures", "checked", "incoming", "cluster", "domains",
    "fallback",
)  # fmt: skip
"""Those of `[storage] variants_path`: what a hit looks at, and what is of one node alone."""
FOLDERS = (
    "originals", "unrecorded", "records", "tombstones", "quarantine", "incoming", "cluster",
    "domains", "variants", "variants/.incoming", "failures", "checked", "fallback",
)  # fmt: skip


def make_folders(root: Path) -> None:
    """Make every folder below `root`."""
    for name in FOLDERS:
        make_folder(root, name)


def make_folder(root: Path, name: str) -> None:
    """Make the folder called `name`, one of the list above, below `root`."""
    make_dir(root / name, PRIVATE_DIR)
