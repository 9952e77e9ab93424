"""Clients as the page shows them: how much each asks, and how often it was refused."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

from image_cloud.history.routes import NO_CLIENT
from image_cloud.history.windows import History, HistoryRequest
from image_cloud.pages.people import ago, count
from image_cloud.request.tokens import Client, TokenStore

REFUSALS = (401, 403, 429)
NOW_S, LARGE_RATE = 60.0, 100.0
WITHOUT = "without a token, or with an unknown one"
GONE = "revoked"


@dataclasses.dataclass(frozen=True)
class ClientRow:
    """One client in the last hour; `refused` are its 401, 403 and 429, empty where there were none."""

    name: str
    scopes: str
    since: str
    rate: str
    requests: str
    refused: list[str]
    is_refused: bool


class ClientTable:
    """Reads who may ask from `tokens`, and who did from `history`; `clock` gives seconds since 1970."""

    def __init__(
        self, tokens: TokenStore, history: History, clock: Callable[[], float] = time.time
    ) -> None:
        self._tokens = tokens
        self._history = history
        self._clock = clock

    def rows(self) -> list[ClientRow]:
        """Return every client, those that ask most first; who comes without a good token last."""
        told, now = _Told(self._history.answer(HistoryRequest("1h"))), self._clock()
        known = {one.name: one for one in self._tokens.all()}
        names = sorted({*known, *told.names()} - {NO_CLIENT}, key=lambda n: (-told.requests(n), n))
        return [_row(name, known.get(name), told, now) for name in [*names, NO_CLIENT]]


class _Told:
    """What the history says of clients."""

    def __init__(self, history: dict[str, Any]) -> None:
        self._columns = {name: place for place, name in enumerate(history["columns"])}
        self._rows = history["rows"]
        self._step_s = float(history["step"])

    def names(self) -> set[str]:
        return {name.partition(".")[2] for name in self._columns if name.startswith("token_")}

    def requests(self, name: str) -> float:
        return self._sum(f"token_requests_per_s.{name}")

    def refused(self, name: str, status: int) -> float:
        return self._sum(f"token_{status}_per_s.{name}")

    def rate(self, name: str) -> float:
        """Return the requests a second of the last NOW_S that are known."""
        known = self._values(f"token_requests_per_s.{name}")[-int(NOW_S // self._step_s) :]
        return sum(known) / len(known) if known else 0.0

    def _sum(self, column: str) -> float:
        return self._step_s * sum(self._values(column))

    def _values(self, column: str) -> list[float]:
        place = self._columns.get(column)
        return [] if place is None else [row[place] for row in self._rows if row[place] is not None]


def _row(name: str, client: Client | None, told: _Told, now: float) -> ClientRow:
    refused = [round(told.refused(name, status)) for status in REFUSALS]
    rate = told.rate(name)
    return ClientRow(
        name=WITHOUT if name == NO_CLIENT else name,
        scopes=" ".join(client.scopes) if client else "" if name == NO_CLIENT else GONE,
        since=f"{ago(now - client.created)} ago" if client else "",
        rate=f"{rate:.1f}" if rate < LARGE_RATE else count(rate),
        requests=count(round(told.requests(name))),
        refused=[count(times) if times else "" for times in refused],
        is_refused=any(refused),
    )
