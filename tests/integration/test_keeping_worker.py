"""The threaded pools' worker: a thread stays with its connection, but never all of them."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unix_http import UnixConnection

CHECKOUT = Path(__file__).parents[2]
PATIENCE_S = 60.0
THREADS = 4


PATIENT, AS_SHIPPED = "tests.integration.patient.Patient", "falcon_app.keeping_worker.KeepingWorker"
Pool = tuple[Path, "subprocess.Popen[bytes]"]


@pytest.fixture(params=[PATIENT])
def pool(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Pool]:
    socket = tmp_path / "pool.sock"
    command = [sys.executable, "-m", "gunicorn", "--bind", f"unix:{socket}", "--keep-alive", "75"]
    command += ["--threads", str(THREADS), "--no-control-socket"]
    command += ["--worker-class", request.param]
    with subprocess.Popen([*command, "tests.integration.thread_app:app"], cwd=CHECKOUT) as process:
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not _answers(socket):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield socket, process
        finally:
            process.kill()


def _answers(socket: Path) -> bool:
    with contextlib.suppress(OSError):
        ask(UnixConnection(str(socket), 1.0))
        return True
    return False


def ask(connection: http.client.HTTPConnection) -> str:
    connection.request("GET", "/")
    return connection.getresponse().read().decode()


def test_one_thread_answers_what_comes_on_a_connection(pool: Pool) -> None:
    one, other = (UnixConnection(str(pool[0]), PATIENCE_S) for _ in range(2))
    asked = [(ask(one), ask(other)) for _ in range(20)]
    assert len(set(asked)) == 1
    assert asked[0][0] != asked[0][1]


def test_idle_connections_take_no_more_than_half_of_the_threads(pool: Pool) -> None:
    idle = [UnixConnection(str(pool[0]), PATIENCE_S) for _ in range(3 * THREADS)]
    for connection in idle:
        ask(connection)
    assert ask(UnixConnection(str(pool[0]), PATIENCE_S))
    # Those without a thread of their own are answered as well.
    assert all(ask(connection) for connection in idle)


@pytest.mark.parametrize("pool", [AS_SHIPPED], indirect=True)
def test_a_pool_that_ends_waits_for_no_idle_connection(pool: Pool) -> None:
    connection = UnixConnection(str(pool[0]), PATIENCE_S)
    ask(connection)
    pool[1].terminate()
    assert pool[1].wait(PATIENCE_S) == 0
    connection.close()
