from __future__ import annotations

import pytest

from image_cloud.config.sections import Database as Settings
from tests.postgres import Cluster


@pytest.fixture
def settings(cluster: Cluster) -> Settings:
    """How to reach an empty, migrated database."""
    return cluster.new_database()
