"""A short random run (`pytest -m soak tests/cluster`); `make cluster-soak` is the long one."""

from __future__ import annotations

import random

import pytest

from tests.cluster.chaos import Chaos, apart

SECONDS = 45.0


@pytest.mark.soak
def test_nothing_acknowledged_is_lost_whatever_breaks() -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # pytest shows it where the test fails
    with apart() as (nodes, origin):
        Chaos(nodes, origin, seed, print).run(SECONDS)
