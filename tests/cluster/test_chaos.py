"""A short random run (`pytest -m soak tests/cluster`); `make cluster-soak` is the long one."""

from __future__ import annotations

import random

import pytest

from tests.cluster.chaos import Chaos
from tests.cluster.nodes import Nodes
from tests.origin import Origin

SECONDS = 45.0


@pytest.mark.soak
def test_nothing_acknowledged_is_lost_whatever_breaks(nodes: Nodes, origin: Origin) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # pytest shows it where the test fails
    Chaos(nodes, origin, seed, print).run(SECONDS)
