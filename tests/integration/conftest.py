from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from image_cloud.config.sections import Database as Settings
from image_cloud.node import Node
from tests.node import new_node


@pytest.fixture
def node(tmp_path: Path, settings: Settings) -> Iterator[Node]:
    """A node of its own, with an empty database; nothing of it runs."""
    node = new_node(tmp_path, database=settings)
    yield node
    node.database.close()
