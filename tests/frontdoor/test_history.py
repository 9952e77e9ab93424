"""/history of a real stack: what nginx answered is in it, whoever dies meanwhile."""

from __future__ import annotations

import itertools
import os
import signal
import time
from pathlib import Path
from typing import Any

from tests.frontdoor.client import eventually, get, jpeg, problem
from tests.frontdoor.test_explain import without_database
from tests.origin import Origin
from tests.stack.running import Stack

PROGRAM = "image-cloud-sampler"
STEP_S = 10
COUNTED_S = 60  # twice a step and a second, and as much again for a busy machine
Row = dict[str, Any]


def rows(stack: Stack, **parameters: str) -> list[Row]:
    answer = get(stack, "/history", **parameters)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    return [dict(zip(told["columns"], row, strict=True)) for row in told["rows"]]


def counted(stack: Stack, column: str, since: float) -> int:
    """Return how often something happened in the steps that began after `since`."""
    return sum(
        round(STEP_S * float(row[column]))
        for row in rows(stack)
        if row["time"] > since - STEP_S and row[column]
    )


def await_counts(stack: Stack, since: float, least: dict[str, int]) -> None:
    """Wait until each of these columns counts at least so many."""

    def are_there() -> bool:
        return all(counted(stack, column, since) >= number for column, number in least.items())

    eventually(are_there, f"counted: {least}", within_s=COUNTED_S)


def hits(stack: Stack, since: float) -> int:
    """Return how many hits there were; each worker of nginx leaves its first to the front pool."""
    results = ("nginx", "front")
    return sum(counted(stack, f"results_per_s.{result}", since) for result in results)


def newest(stack: Stack) -> Row:
    """Return the last row in which something is known."""

    def known() -> list[Row]:
        return [row for row in rows(stack) if row["disk_free_bytes"] is not None]

    found: list[Row] = eventually(known, "there is a row", within_s=COUNTED_S)
    return found[-1]


def ask(stack: Stack, url: str, times: int) -> None:
    for _ in range(times):
        assert get(stack, "/get_thumbnail", url=url).status_code == 200


def test_requests_are_in_the_history_in_20_s(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/in-history.jpg", jpeg(seed=77))
    problem(get(stack, "/get_image", url=origin.url("/in-no-history.jpg")), 404, "origin_not_found")
    began = time.time()
    ask(stack, url, 30)
    await_counts(stack, began, {"requests_per_s.get_thumbnail": 30})
    assert hits(stack, began) >= 29
    of_nginx = {"results_per_s.nginx": 1, "results_per_s.resized": 1, "errors_4xx_per_s": 1}
    of_pools = {"downloads_per_s.ok": 1, "download_bytes_per_s": 1}  # looked at once in a step
    await_counts(stack, began, of_nginx | of_pools)
    ours = [row for row in rows(stack) if row["time"] > began - STEP_S and row["hit_share"]]
    assert 0 < ours[0]["p50_s"] <= ours[0]["p99_s"] < 60
    assert 0 < ours[0]["hit_share"] <= 1


def test_what_is_measured_is_in_the_history(stack: Stack) -> None:
    def row_of_all() -> Row | None:
        """Return a row in which everything has answered; a busy decoder may be late for one."""
        row = newest(stack)
        known = row["clone_backlog"] == 0 and row["decoder_running"] is not None
        return row if known else None

    row: Row = eventually(row_of_all, "all is measured", within_s=COUNTED_S)
    assert row["disk_free_bytes"] > 0
    assert row["memory_bytes"] > 20e6
    assert {"memory_bytes.sampler", "memory_bytes.front", "heartbeat_age_s.sampler"} <= row.keys()


def test_a_sampler_that_is_killed_counts_nothing_twice(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/counted-once.jpg", jpeg(seed=78))
    ask(stack, url, 1)
    before = newest(stack)["time"] + STEP_S
    eventually(lambda: newest(stack)["time"] > before, "a new step", within_s=COUNTED_S)
    began = time.time()
    for _ in range(4):
        ask(stack, url, 10)
        killed = stack.pid(PROGRAM)
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: stack.pid(PROGRAM) not in (0, killed), "it is back")  # noqa: B023
    eventually(lambda: hits(stack, began) >= 40, "none is missed", within_s=COUNTED_S)
    before = newest(stack)["time"]
    eventually(lambda: newest(stack)["time"] > before + STEP_S, "two more", within_s=COUNTED_S)
    assert hits(stack, began) == 40


def test_without_the_database_the_rest_goes_on(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/no-database.jpg", jpeg(seed=79))
    ask(stack, url, 1)
    with without_database(stack):
        began = time.time()
        ask(stack, url, 10)
        eventually(lambda: hits(stack, began) >= 10, "hits", within_s=COUNTED_S)

        def is_unknown() -> bool:
            row = newest(stack)
            return row["clone_backlog"] is None and row["disk_free_bytes"] is not None

        eventually(is_unknown, "the queues are not known", within_s=COUNTED_S)
    eventually(lambda: newest(stack)["clone_backlog"] == 0, "they are again", within_s=COUNTED_S)


def test_every_window_answers_and_the_file_is_the_nodes_own(stack: Stack) -> None:
    for window, step in (("1h", 10), ("6h", 60), ("24h", 300), ("14d", 3600)):
        found = rows(stack, window=window)
        assert len(found) <= 360
        assert {b["time"] - a["time"] for a, b in itertools.pairwise(found)} == {step}
    problem(get(stack, "/history", window="1y"), 400, "bad_parameter")
    folder = Path(stack.home / "history")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {one.stat().st_mode & 0o777 for one in folder.iterdir()} == {0o600}


def test_the_sampler_is_small(stack: Stack) -> None:
    eventually(lambda: newest(stack)["memory_bytes.sampler"], "it is measured", within_s=130)
    text = Path(f"/proc/{stack.pid(PROGRAM)}/smaps_rollup").read_text()
    pss_kb = int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1])
    assert pss_kb < 20_000
