"""The stages of `make shared-storage-test` that are quick."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.shared_storage.stages import STAGES
from tests.shared_storage.volume import why_not
from tests.shared_storage.world import World

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

SECONDS = 2.0
QUICK = ("read", "limit", "hung_mount", "failover", "compare")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(SECONDS) as running:
        yield running


@pytest.mark.parametrize("name", QUICK)
def test_nodes_on_a_shared_storage(world: World, name: str) -> None:
    STAGES[name](world)
