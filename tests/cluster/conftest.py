from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.nodes import Nodes


@pytest.fixture(scope="session")
def running() -> Iterator[Nodes]:
    """Four nodes that all tests share; a test that breaks something mends it."""
    with (
        tempfile.TemporaryDirectory(prefix="ic-cluster-") as folder,
        Nodes(Path(folder)) as nodes,
    ):
        yield nodes


@pytest.fixture
def nodes(running: Nodes) -> Nodes:
    """Four nodes that see each other and have nothing to do."""
    running.settle()
    return running
