"""What is wrong with the nodes, in words, the worst first."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator

from image_cloud.pages.nodes import NodeState
from image_cloud.pages.people import ago, count, size
from image_cloud.pages.status import OK, Lately, Status

BAD, WARNING = "bad", "warning"
LEAST_FREE = 0.1
FEW_DAYS = 7
NOTABLE_ERRORS = 0.01  # of all answers, as for the alert ImageCloudErrors
LEAST_ERRORS_PER_S = 0.05  # 30 in the ten minutes
STALE_S = 10.0
MANY_UNRECORDED = 1000
NOTABLE_HOLD_S = 10.0
REFUSED = " is refused"
PAUSED_STATES = ("paused", "broken")


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing that is wrong: how bad it is, on which node, and the page that tells more."""

    level: str
    node: str
    text: str
    page: str = ""


def problems(states: Iterable[NodeState]) -> list[Problem]:
    """Return all problems, BAD ones first."""
    found = [one for state in states for one in _of_node(state)]
    return sorted(found, key=lambda one: (one.level != BAD, one.node))


def is_away(state: NodeState) -> bool:
    """Say whether the node does not answer."""
    return bool(state.error) and (state.status is None or state.age_s > STALE_S)


def _of_node(state: NodeState) -> Iterator[Problem]:
    name, status = state.name, state.status
    if state.error:
        since = f" (last heard {ago(time.time() - state.last_seen)} ago)" if state.last_seen else ""
        yield Problem(BAD, name, f"does not answer: {state.error}{since}")
    if status is None or is_away(state):
        return
    for text in _broken(status):
        yield Problem(BAD, name, text)
    for text, page in _worth_a_look(status):
        yield Problem(WARNING, name, text, page)


def _broken(status: Status) -> Iterator[str]:
    parts = {"storage": status.storage, "variants": status.variants, "database": status.database}
    for part, said in parts.items():
        if said != OK:
            yield f"{part}: {said}"
    for pool, said in status.pools.items():
        if said != OK:
            yield f"the {pool} pool {said}"
    if status.prefetch_paused:
        yield "prefetch is paused: the storage is full"


def _worth_a_look(status: Status) -> Iterator[tuple[str, str]]:
    if status.disk.share_free < LEAST_FREE:
        yield f"only {size(status.disk.bytes_free)} of the disk are free", ""
    yield from _of_late(status.lately or Lately())
    if REFUSED in status.limits:
        yield status.limits, ""
    if status.unrecorded > MANY_UNRECORDED:
        yield f"{count(status.unrecorded)} pictures are not in the catalogue yet", ""
    held = status.feed_held
    if held and held.seconds > NOTABLE_HOLD_S:
        by = held.holder or "a transaction"
        yield f"{count(held.changes)} changes are held back for {ago(held.seconds)} by {by}", ""
    for peer in status.peers:
        if peer.is_stopped:
            yield f"{peer.error}; to go on: image-cloud allow-deletes {peer.name}", ""
    paused = [one.domain for one in status.domains if one.state in PAUSED_STATES]
    if paused:
        yield f"{_domains(paused)} paused", "/pages/domains"


def _of_late(lately: Lately) -> Iterator[tuple[str, str]]:
    days, errors = lately.disk_days_left, lately.errors_5xx_per_s
    if days is not None and days < FEW_DAYS:
        yield f"the disk is full in {days:.1f} days, if it goes on so", ""
    if errors > max(LEAST_ERRORS_PER_S, NOTABLE_ERRORS * lately.requests_per_s):
        share = errors / max(errors, lately.requests_per_s)
        yield f"{share:.0%} of the last ten minutes' answers are errors (5xx)", "/pages/domains"


def _domains(names: list[str]) -> str:
    more = len(names) - 3
    listed = ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")
    return f"{listed} {'is' if len(names) == 1 else 'are'}"
