"""An empty storage for tests."""

from __future__ import annotations

from pathlib import Path

from image_cloud.storage.folders import make_folders
from image_cloud.storage.store import Store


def new_store(root: Path) -> Store:
    """Return a store in `root` with all its folders."""
    root.mkdir(exist_ok=True)
    make_folders(root)
    return Store.at(root)
