from __future__ import annotations

from pathlib import Path

import pytest

from image_cloud.storage.store import Store
from tests.storage import new_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty storage."""
    return new_store(tmp_path)
