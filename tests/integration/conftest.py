from __future__ import annotations

from collections.abc import Iterator

import pytest

from image_cloud.config.sections import Database as Settings
from tests.postgres import Cluster


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL of our own, for tests that need nothing else of a stack."""
    with Cluster() as running:
        yield running


@pytest.fixture
def settings(postgres: Cluster) -> Settings:
    """An empty, migrated database."""
    return postgres.new_database()
