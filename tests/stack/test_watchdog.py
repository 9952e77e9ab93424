"""A pool or daemon that runs but cannot serve does not run for long."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from image_cloud.config.sections import Database as Settings
from image_cloud.db.connect import Database
from tests.frontdoor.client import eventually, get
from tests.stack.load import Load
from tests.stack.running import Stack

# A thread may be at a step for as long as its longest wait: here 19 s.
IMPATIENT = (
    "watchdog.unanswered=4 s;watchdog.longest_step=1 s;download.total_timeout=2 s"
    ";politeness.slot_wait=5 s;resize.decode_timeout=2 s;cluster.poll=100 ms;cluster.read_timeout=1 s"
    ";janitor.audit_pause=100 ms;database.statement_timeout=10 min"
)


@pytest.fixture(scope="module")
def own() -> Iterator[Stack]:
    with (
        tempfile.TemporaryDirectory(prefix="image-cloud-") as folder,
        Stack(Path(folder) / "home", settings=IMPATIENT) as running,
    ):
        yield running


def family(stack: Stack, program: str) -> list[int]:
    """Return a program's process and its children."""
    pid = stack.pid(program)
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def stop(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)


def log(stack: Stack) -> str:
    return (stack.home / "log/image-cloud-watchdog.log").read_text()


def counted(lines: list[str], name: str, program: str) -> float:
    """Return the value of a metric of one program."""
    begin = f'image_cloud_{name}{{program="{program}"}} '
    return next(float(line.removeprefix(begin)) for line in lines if line.startswith(begin))


def test_a_pool_whose_workers_hang_is_started_anew(own: Stack) -> None:
    """Here before gunicorn's own limit of 30 s, after which it replaces workers but not itself."""
    program = "image-cloud-front"
    before = own.pid(program)
    stop(family(own, program))
    eventually(lambda: own.pid(program) not in (0, before), "it is started anew")
    own.cli("health", "--wait", "30")
    assert 'program=image-cloud-front reason="no answer and no request finished' in log(own)
    assert "killed: image-cloud-front hung" in (own.home / "log/supervisord.log").read_text()
    assert not Path(f"/proc/{before}").exists()
    lines = get(own, "/metrics").text.splitlines()
    for name in ("watchdog_kills_total", "program_restarts_total"):
        assert counted(lines, name, "front") >= 1
        assert counted(lines, name, "fetch") < counted(lines, name, "front")


def test_a_stopped_daemon_is_started_anew(own: Stack) -> None:
    program = "image-cloud-janitor"
    before = own.pid(program)
    stop([before])
    eventually(lambda: own.pid(program) not in (0, before), "it is started anew")
    assert "its process is stopped" in log(own)


def test_a_daemon_with_a_thread_that_hangs_is_restarted(own: Stack) -> None:
    """The audit waits for a table that somebody has locked."""
    program = "image-cloud-janitor"
    eventually(lambda: (own.home / f"run/beats/{program}.audit").exists(), "it audits")
    before = own.pid(program)
    place = f"host={own.home}/run/postgres port=5436 user=image_cloud dbname=image_cloud"
    with Database(dataclasses.replace(Settings(), dsn=place)).transaction() as cursor:
        cursor.execute("LOCK TABLE images IN ACCESS EXCLUSIVE MODE")
        eventually(lambda: own.pid(program) not in (0, before), "it is restarted")
    assert 'program=image-cloud-janitor reason="one step has taken' in log(own)
    assert "(thread audit" in log(own)
    assert f"killed: {program} hung" in (own.home / "log/supervisord.log").read_text()


def test_pools_under_load_are_left_alone(own: Stack) -> None:
    pools = [f"image-cloud-{pool}" for pool in ("front", "fetch", "decoder", "control")]
    before = [own.pid(pool) for pool in pools]
    with Load(own, clients=6) as load:
        eventually(lambda: load.done["resize"] > 200, "much is done", within_s=300)
    assert [own.pid(pool) for pool in pools] == before
    assert load.failed == []
