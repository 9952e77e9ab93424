"""Places: a crowd before one domain leaves room for all others."""

from __future__ import annotations

import contextlib

import pytest

from image_cloud.errors import Busy
from image_cloud.politeness.crowd import Crowd


def fill(crowd: Crowd, domain: str, held: contextlib.ExitStack) -> int:
    """Take all the places that `domain` can have; return how many it got."""
    count = 0
    with contextlib.suppress(Busy):
        while True:
            held.enter_context(crowd.place(domain))
            count += 1
    return count


def test_a_crowded_domain_leaves_half_of_the_places() -> None:
    crowd = Crowd(100, 1000)
    with contextlib.ExitStack() as held:
        assert fill(crowd, "dead.example", held) == 50
        assert fill(crowd, "hung.example", held) == 25
        with crowd.place("good.example"), crowd.place("good.example"):
            pass
    with contextlib.ExitStack() as held:
        assert fill(crowd, "dead.example", held) == 50, "all are free again"


def test_a_domain_has_a_limit_of_its_own() -> None:
    crowd = Crowd(100, 3)
    with contextlib.ExitStack() as held:
        assert fill(crowd, "dead.example", held) == 3
        with pytest.raises(Busy) as caught, crowd.place("dead.example"):
            pass
        assert caught.value.retry_after_s
        assert "dead.example" in caught.value.detail
        with crowd.place("good.example"):
            pass


def test_a_request_that_fails_gives_its_place_back() -> None:
    crowd = Crowd(10, 1)
    for _ in range(3):
        with pytest.raises(ValueError, match="no"), crowd.place("a.example"):
            raise ValueError("no")
