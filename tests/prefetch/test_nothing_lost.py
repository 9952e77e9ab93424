"""kill -9 of anything, at any time: every accepted URL is stored or has failed, hardly any is had twice."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.frontdoor.client import eventually
from tests.origin import Origin, slow_start
from tests.prefetch.node import Node, picture, urls
from tests.stack.running import CHECKOUT

SLOTS = 4
ORIGINS = 5


def kill_daemon(node: Node) -> None:
    node.kill("image-cloud-prefetch")


def kill_worker(node: Node) -> None:
    node.kill_worker("image-cloud-control")
    node.kill_worker("image-cloud-fetch")
    node.kill_worker("image-cloud-decoder")


def kill_process_of_daemon(node: Node) -> None:
    node.kill_worker("image-cloud-prefetch")


def kill_postgresql(node: Node) -> None:
    node.kill("postgres")


def kill_stack(node: Node) -> None:
    node.kill_everything()


KILLS = [kill_daemon, kill_process_of_daemon, kill_worker, kill_postgresql, kill_stack]


@pytest.mark.parametrize("kill", KILLS)
def test_nothing_is_lost_and_hardly_anything_twice(
    kill: Callable[[Node], None], node: Node, origins: Callable[[int], list[Origin]], soak: int
) -> None:
    """By default 250 URLs and one kill each; PREFETCH_SOAK=n: 5,000 URLs, killed n times."""
    count, rounds = (5000, soak) if soak else (250, 1)
    node.set_limits({"default": SLOTS})
    running = origins(ORIGINS)
    wanted = [
        url for one in running for url in urls(one, count // ORIGINS, slow_start(0.01, picture))
    ]
    batch = node.batch(wanted, thumbnails=[100] if not soak else [])
    for number in range(rounds):
        await_asked(running, count * (number + 1) // (rounds + 2))
        kill(node)
    state = eventually_finished(node, batch)
    assert (state["total"], state["done"], state["failed"]) == (count, count, 0)
    twice = sum(
        len(one.requests) - len({request.target for request in one.requests}) for one in running
    )
    assert twice <= SLOTS * ORIGINS * rounds
    stored = node.post(wanted).json()
    assert stored["already_cached"] == count
    assert node.stack.psql("SELECT count(*) FROM prefetch_requests").strip() == "0"
    assert node.stack.psql("SELECT count(*) FROM prefetch_domains").strip() == "0"


def await_asked(origins: list[Origin], goal: int) -> None:
    eventually(lambda: asked(origins) >= goal, f"{goal} were asked for")


def asked(origins: list[Origin]) -> int:
    return sum(len(one.requests) for one in origins)


def eventually_finished(node: Node, batch: str) -> dict[str, Any]:
    """Ask until the batch is finished; the node may be away in between."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        try:
            return node.finished(batch)
        except (OSError, AssertionError):
            time.sleep(0.2)
    raise TimeoutError(str(node.progress(batch)))


def test_two_daemons_share_the_work(node: Node, origin: Origin) -> None:
    node.set_limits({"127.0.0.1": 4})
    daemon = [str(CHECKOUT / ".venv/bin/python"), "-P", "-m", "daemons.prefetch"]
    environment = node.stack.env() | {
        "IMAGE_CLOUD_CONFIG": str(node.stack.home / "run/image_cloud.ini")
    }
    user = node.stack.psql("SELECT 1") and (node.stack.home / "storage").owner()
    command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--", *daemon]
    second = subprocess.Popen(
        command if user != "root" else daemon, env=environment, cwd="/", stderr=subprocess.PIPE
    )
    assert second.stderr
    lines: list[bytes] = []
    reader = threading.Thread(target=lambda: lines.extend(second.stderr or ()))
    reader.start()
    try:
        eventually(lambda: any(b"limits_read" in line for line in lines), "the second is at it")
        batch = node.batch(urls(origin, 200, slow_start(0.01, picture)))
        assert node.finished(batch)["done"] == 200
    finally:
        second.terminate()
        assert second.wait(60) == 0
        reader.join(60)
    assert sum(b"event=downloaded" in line for line in lines) > 10
    assert origin.most_parallel <= 4
    assert len(origin.requests) == 200


def test_the_command_line_survives_a_restart(node: Node, origin: Origin, tmp_path: object) -> None:
    node.set_limits({"127.0.0.1": 4})
    wanted = urls(origin, 100, slow_start(0.1, picture))
    wanted.append(origin.url("/nowhere"))
    command = [
        str(CHECKOUT / ".venv/bin/image-cloud"),
        "prefetch",
        "-",
        "--wait",
        "--thumbnails",
        "100",
    ]
    running = subprocess.Popen(
        command, env=node.stack.env(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert running.stdin
    assert running.stdout
    running.stdin.write("\n".join(wanted))
    running.stdin.close()
    running.stdin = None
    batch = running.stdout.readline().split()[1].rstrip(":")
    eventually(lambda: len(origin.requests) > 10, "some were asked for")
    node.stack.stop()
    node.stack.start()
    out, err = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "100 done, 1 failed" in out
    assert f"failed: {wanted[-1]}: origin_not_found" in err
    assert "100%" not in err, "the bar is for terminals"
    again = subprocess.run(
        [*command[:2], "--wait", "--batch", batch],
        env=node.stack.env(),
        text=True,
        capture_output=True,
        timeout=60,
    )
    assert (again.returncode, again.stdout) == (1, "100 done, 1 failed\n")
