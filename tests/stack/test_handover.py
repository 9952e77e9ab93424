"""Pools restart under load, and no request fails."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.stack.load import Load
from tests.stack.running import Refused, Stack

POOLS = ("front", "fetch", "decoder", "control")
DAEMONS = (
    "image-cloud-janitor", "image-cloud-peer-clone", "image-cloud-prefetch", "image-cloud-sampler",
)  # fmt: skip
KINDS = {"hit", "original", "miss", "resize", "batch"}
DEADLINE_S, ROLLOUT_S = 60.0, 240.0


@pytest.fixture(scope="module")
def own() -> Iterator[Stack]:
    """A stack whose pools the tests restart and stop."""
    with (
        tempfile.TemporaryDirectory(prefix="image-cloud-") as folder,
        Stack(Path(folder) / "home") as running,
    ):
        yield running


def wait_for(load: Load, more: int) -> None:
    """Let every kind of request be answered `more` times."""
    before, deadline = load.done.copy(), time.monotonic() + DEADLINE_S
    while any(load.done[kind] < before[kind] + more for kind in KINDS):
        assert time.monotonic() < deadline, (before, load.done)
        time.sleep(0.05)


@pytest.mark.parametrize("pool", POOLS)
def test_a_restarted_pool_fails_no_request(own: Stack, pool: str) -> None:
    program = f"image-cloud-{pool}"
    with Load(own) as load:
        wait_for(load, 3)
        before = own.pid(program)
        own.supervisorctl("restart", program)
        assert own.pid(program) not in (0, before)
        wait_for(load, 3)
    assert load.failed == []


def test_a_rollout_renews_everything_and_fails_no_request(own: Stack) -> None:
    programs = [*(f"image-cloud-{pool}" for pool in POOLS), *DAEMONS]
    before = {program: own.pid(program) for program in programs}
    with Load(own) as load:
        wait_for(load, 1)
        said = own.cli("rollout", timeout=ROLLOUT_S)
        wait_for(load, 1)
    assert load.failed == []
    assert all(f"{program} serves" in said for program in programs)
    assert all(own.pid(program) not in (0, before[program]) for program in programs)
    assert own.cli("health").startswith("ic00 is well")


def test_a_rollout_stops_at_the_first_that_does_not_come_back(own: Stack) -> None:
    conf = own.home / "run/supervisor.d/image-cloud-control.conf"
    good, before = conf.read_text(), own.pid("image-cloud-front")
    conf.write_text(good.replace('IMAGE_CLOUD_POOL="control"', 'IMAGE_CLOUD_POOL="nonsense"'))
    try:
        with pytest.raises(Refused, match="image-cloud-control does not serve"):
            own.cli("rollout", timeout=ROLLOUT_S)
        assert own.pid("image-cloud-front") == before
        with pytest.raises(Refused, match="image-cloud-control does not answer"):
            own.cli("health")
    finally:
        conf.write_text(good)
        own.cli("rollout", timeout=ROLLOUT_S)
    own.cli("health")


def test_health_tells_of_a_broken_pool(own: Stack) -> None:
    own.supervisorctl("stop", "image-cloud-decoder")
    try:
        with pytest.raises(Refused, match="is not well: /get_image: 503"):
            own.cli("health")
    finally:
        own.supervisorctl("start", "image-cloud-decoder")
    own.cli("health", "--wait", "10")


def test_a_pool_that_nobody_starts_again_is_away(own: Stack) -> None:
    """Requests wait for a restart, not for ever: nginx must hear that there is no pool."""
    own.supervisorctl("stop", "image-cloud-control")
    try:
        began = time.monotonic()
        answer = requests.post(
            f"{own.url}/fire_and_forget",
            json={"urls": ["http://shop.example/a.jpg"]},
            headers={"X-Image-Cloud-Token": own.token},
            timeout=DEADLINE_S,
        )
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        assert time.monotonic() - began < DEADLINE_S
    finally:
        own.supervisorctl("start", "image-cloud-control")


def test_the_sockets_are_the_run_users_alone(own: Stack) -> None:
    folder = own.home / "run/sockets"
    assert folder.stat().st_uid == (own.home / "run").stat().st_uid
    for pool in POOLS:
        assert (folder / f"{pool}.sock").stat().st_mode & 0o777 == 0o700
