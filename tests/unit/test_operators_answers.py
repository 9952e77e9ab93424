"""/health, /ready and /alternative_clouds: what a node says of itself and of its peers."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from falcon_app.health import Health, Ready
from image_cloud.errors import DatabaseUnavailable, StorageUnavailable
from image_cloud.supervision.readiness import Readiness, pool_checks
from tests.unit.web import client


class Space:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.checked = 0

    def check_writable(self) -> None:
        self.checked += 1
        if self.error:
            raise self.error


class Database:
    """Is away, or does what the test says when it is asked."""

    def __init__(self, check: Callable[[], object] = lambda: None) -> None:
        self.check = check

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        raise DatabaseUnavailable
        yield


def away() -> None:
    raise DatabaseUnavailable("refused")


# --- ready ----------------------------------------------------------------------------------------


def test_a_process_that_is_up_says_so() -> None:
    answer = client({"/health": Health()}).simulate_get("/health")
    assert (answer.json, answer.headers["Cache-Control"]) == ({"status": "ok"}, "no-store")


@pytest.mark.parametrize(
    ("space", "database", "state"),
    [
        (Space(), Database(), {"storage": "ok", "database": "ok"}),
        (Space(), Database(away), {"storage": "ok", "database": "refused"}),
        (Space(StorageUnavailable("storage: full")), Database(),
         {"storage": "storage: full", "database": "ok"}),
    ],
)  # fmt: skip
def test_details_are_for_operators(space: Space, database: Database, state: dict[str, str]) -> None:
    status = "ok" if set(state.values()) == {"ok"} else "degraded"
    readiness = Readiness(space, database, {"fetch": lambda: None})
    shown = {"node": "ic00", **state, "pools": {"fetch": "ok"}}
    for scopes, details in ((), {}), (("ops",), shown):
        web = client({"/ready": Ready("ic00", readiness)}, scopes)
        answer = web.simulate_get("/ready")
        assert (answer.status_code, answer.json) == (200, {"status": status, **details})
    assert space.checked == 1, "it was known"


def test_a_database_that_never_answers_holds_up_one_stranger_once() -> None:
    over, asked = threading.Event(), threading.Event()

    def check() -> None:
        asked.set()
        over.wait(60)

    readiness = Readiness(Space(), Database(check))
    states: list[dict[str, str]] = []
    first = threading.Thread(target=lambda: states.append(readiness.state()))
    first.start()
    assert asked.wait(60)
    readiness.state()
    assert not states, "who comes meanwhile does not wait for the first"
    first.join(60)
    silent = {"storage": "ok", "database": "the database does not answer"}
    assert [*states, readiness.state()] == [silent, silent]
    over.set()


def test_what_is_known_to_be_away_holds_up_nobody() -> None:
    over, calls = threading.Event(), list[int]()

    def check() -> None:
        calls.append(1)
        if len(calls) > 1:
            over.wait(60)
        raise DatabaseUnavailable("refused")

    readiness = Readiness(Space(), Database(check))
    assert readiness.state()["database"] == "refused"
    deadline = time.monotonic() + 30
    while len(calls) < 2:  # the next check, once this one is too old
        assert readiness.state()["database"] == "refused"
        assert time.monotonic() < deadline
    over.set()


def test_a_pool_that_does_not_answer_degrades_the_node(tmp_path: Path) -> None:
    (tmp_path / "sockets").mkdir()
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(tmp_path / "sockets/fetch.sock"))
        hung.listen()
        checks = pool_checks(str(tmp_path), ("fetch", "control")) | {"front": lambda: None}
        web = client({"/ready": Ready("ic00", Readiness(Space(), Database(), checks))}, ("ops",))
        said = web.simulate_get("/ready").json
    assert said["status"] == "degraded"
    silent = "does not answer"
    assert said["pools"] == {"fetch": silent, "control": silent, "front": "ok"}
