"""The domains in trouble: the worst by name, the others together."""

from __future__ import annotations

import collections
import itertools
import time
from collections.abc import Iterable

from image_cloud.metrics.definitions import (
    DOMAIN_FAILURES,
    DOMAIN_PAUSE,
    DOMAIN_SLOTS,
    DOMAIN_SLOTS_USED,
    DOMAIN_STATES,
    DOMAINS,
    OTHER,
)
from image_cloud.metrics.exposition import States
from image_cloud.metrics.series import Labels
from image_cloud.politeness.overview import Overview
from image_cloud.politeness.trouble import Trouble

MOST_NAMED = 50


def domains(overview: Overview) -> States:
    """Return how many domains are in which state, and what is wrong with those that are asked last."""
    now, found = time.time(), overview.troubles()
    states = collections.Counter(one.state(now) for one in found)
    named, others = found[:MOST_NAMED], found[MOST_NAMED:]
    rest = (max((_pause_s(one, now) for one in others), default=0.0), _failures(others))
    return {
        DOMAINS: {(state,): states[state] for state in DOMAIN_STATES},
        DOMAIN_PAUSE: {(one.domain,): _pause_s(one, now) for one in named} | {(OTHER,): rest[0]},
        DOMAIN_FAILURES: {(one.domain,): one.failures for one in named} | {(OTHER,): rest[1]},
        **_slots(overview, (one.domain for one in named)),
    }


def _slots(overview: Overview, troubled: Iterable[str]) -> States:
    """Return the slots of the worst domains, then of those that operators limit, MOST_NAMED in all."""
    names = itertools.islice(dict.fromkeys((*troubled, *overview.limited())), MOST_NAMED)
    used: dict[Labels, float] = {}
    allowed: dict[Labels, float] = {}
    for name in names:
        used[name,], allowed[name,] = overview.slots(name)
    return {DOMAIN_SLOTS_USED: used, DOMAIN_SLOTS: allowed}


def _pause_s(trouble: Trouble, now: float) -> float:
    return max(0.0, round(trouble.until - now, 1))


def _failures(troubles: list[Trouble]) -> int:
    return sum(one.failures for one in troubles)
