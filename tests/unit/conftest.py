from __future__ import annotations

from pathlib import Path

import pytest

from image_cloud.storage.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty storage."""
    store = Store(tmp_path)
    store.prepare()
    return store
