"""What the page Clients tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from image_cloud.pages.tables.clients import WITHOUT, ClientTable
from image_cloud.request import tokens
from image_cloud.request.tokens import TokenStore

STEP_S = 10


class Told:
    """The history of twenty steps."""

    def __init__(self, **rates: float) -> None:
        self.rates = {name.replace("__", "."): rate for name, rate in rates.items()}

    def answer(self, _: Any) -> dict[str, Any]:
        rows = [
            [STEP_S * n, *(rate if n % 2 else None for rate in self.rates.values())]
            for n in range(20)
        ]
        return {"step": STEP_S, "columns": ["time", *self.rates], "rows": rows}


def table(folder: Path, **rates: float) -> ClientTable:
    told: Any = Told(**rates)
    return ClientTable(TokenStore(folder / "tokens.json"), told)


def test_who_asks_most_comes_first_and_refusals_are_told(tmp_path: Path) -> None:
    tokens.add(tmp_path / "tokens.json", "ann", ["read", "prefetch"])
    tokens.add(tmp_path / "tokens.json", "idle", ["ops"])
    rates = {
        "token_requests_per_s__ann": 2.0,
        "token_429_per_s__ann": 0.5,
        "token_requests_per_s__gone": 5.0,
    }
    nobody = {"token_requests_per_s__-": 1.0, "token_401_per_s__-": 1.0}
    rows = table(tmp_path, **rates, **nobody).rows()
    assert [one.name for one in rows] == ["gone", "ann", "idle", WITHOUT]
    gone, ann, idle, without = rows
    assert (ann.rate, ann.requests, ann.refused, ann.scopes) == (
        "2.0",
        "200",
        ["", "", "50"],
        "read prefetch",
    )
    assert ann.since.endswith(" ago")
    assert (gone.scopes, gone.requests, gone.is_refused) == ("revoked", "500", False)
    assert (idle.rate, idle.requests) == ("0.0", "0")
    assert (without.refused, without.is_refused) == (["100", "", ""], True)


def test_without_history_and_tokens_nothing_is_wrong(tmp_path: Path) -> None:
    (without,) = table(tmp_path).rows()
    assert (without.name, without.requests, without.is_refused) == (WITHOUT, "0", False)
