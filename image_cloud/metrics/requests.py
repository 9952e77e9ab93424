"""Counts what nginx answered, from the lines of its access log."""

from __future__ import annotations

import dataclasses

from image_cloud.metrics.definitions import (
    BROUGHT,
    NO_CLIENT,
    NO_PICTURE,
    OTHER,
    REQUEST_SECONDS,
    REQUESTS,
    SENT_BYTES,
)

MOST_ROUTES = 40
MOST_CLIENTS = 50
MOST_SERIES = 1000


@dataclasses.dataclass(frozen=True)
class Answered:
    """One line of the access log: `cache` is X-Cache, empty without a picture.

    `client` is the name of the token's client, empty without one; `by_pool` is False for what nginx
    answered alone.
    """

    route: str
    status: int
    seconds: float
    bytes: int
    cache: str = ""
    client: str = ""
    by_pool: bool = True


class Bounded:
    """Lets the first `most` names through and calls all others `other`: no client makes series at will."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[object] = set()

    def admits(self, name: object) -> bool:
        """Say whether `name` is one of the first."""
        if name not in self._known and len(self._known) < self._most:
            self._known.add(name)
        return name in self._known

    def name(self, name: str) -> str:
        """Return `name`, or what stands for the rest."""
        return name if self.admits(name) else OTHER


class RequestCounter:
    """Counts requests; one of a process, the one that reads the log."""

    def __init__(self) -> None:
        self._routes = Bounded(MOST_ROUTES)
        self._clients = Bounded(MOST_CLIENTS)
        self._series = Bounded(MOST_SERIES)

    def count(self, answered: Answered, times: int = 1) -> None:
        """Count a line that came `times` times."""
        route, result = self._routes.name(answered.route), result_of(answered)
        status = str(answered.status) if 100 <= answered.status <= 599 else OTHER
        client = self._clients.name(answered.client) if answered.client else NO_CLIENT
        labels = (route, result, status, client)
        if not self._series.admits(labels):
            labels = (OTHER, result, f"{status[:1]}xx", OTHER)
        REQUESTS.add(*labels, by=times)
        SENT_BYTES.add(route, by=answered.bytes * times)
        REQUEST_SECONDS.observe(answered.seconds, route, result, times=times)


def result_of(answered: Answered) -> str:
    """Return where the picture of an answer came from, `none` for an answer without one."""
    cache = answered.cache.lower()
    if cache == "hit":
        return "front" if answered.by_pool else "nginx"
    return cache if cache in BROUGHT else NO_PICTURE
