"""Batches of a real stack: cancelling while it works, retrying, log lines, the command line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.frontdoor.client import eventually, get, problem
from tests.origin import Gate, Origin, answer
from tests.prefetch.node import PATH, Node, picture, urls
from tests.stack.running import CHECKOUT, Refused


def cancel(node: Node, batch: str) -> int:
    answered = get(node.stack, PATH, "DELETE", batch=batch)
    assert answered.status_code == 200, answered.text
    return int(answered.json()["cancelled"])


def retry(node: Node, batch: str) -> int:
    answered = get(node.stack, PATH, "POST", batch=batch, retry="true")
    assert answered.status_code == 200, answered.text
    return int(answered.json()["queued"])


def test_cancelling_while_workers_hold_leases(node: Node, origin: Origin) -> None:
    """Two are under way; of the others five are also another batch's."""
    node.set_limits({"127.0.0.1": 2})
    gate = Gate(picture)
    wanted = urls(origin, 20, gate)
    batch = node.batch(wanted)
    gate.await_arrival()
    gate.await_arrival()
    other = node.batch(wanted[15:])
    assert cancel(node, batch) == 18
    state = node.progress(batch)
    assert (state["state"], state["waiting"], state["finished_at"]) == ("cancelling", 2, None)
    gate.open()
    assert node.finished(other)["done"] == 5
    state = node.finished(batch)
    assert (state["state"], state["done"], state["cancelled"]) == ("cancelled", 2, 18)
    assert state["finished_at"]
    assert cancel(node, batch) == 0
    assert origin.count("/p") == 7
    assert len({request.target for request in origin.requests}) == 7
    assert node.stack.psql("SELECT count(*) FROM prefetch_followers") == "0\n"


def test_a_url_under_way_is_not_tried_again(node: Node, origin: Origin) -> None:
    gate = Gate(answer(500))
    batch = node.batch(urls(origin, 1, gate))
    gate.await_arrival()
    assert cancel(node, batch) == 0
    gate.open()
    state = node.finished(batch)
    assert (state["state"], state["cancelled"], state["failed"]) == ("cancelled", 1, 0)
    assert origin.count("/p") == 1


def test_failures_are_had_when_the_shop_has_mended_them(node: Node, origin: Origin) -> None:
    wanted = [*urls(origin, 3, answer(404)), *urls(origin, 2, path="/good")]
    batch = node.batch(wanted, thumbnails=[100])
    assert node.finished(batch)["failures"] == {"origin_not_found": 3}
    origin.behave("/p", picture)
    assert retry(node, batch) == 3
    state = node.finished(batch)
    assert (state["done"], state["failed"], state["failures"]) == (5, 0, {})
    assert retry(node, batch) == 0
    assert get(node.stack, "/get_thumbnail", url=wanted[0], size=100).headers["X-Cache"] == "HIT"


def test_only_its_client_and_operators_see_a_batch(node: Node, origin: Origin) -> None:
    tokens = {
        name: node.stack.cli("token", "add", name, "prefetch").strip() for name in ("ann", "bob")
    }

    def ask(who: str, method: str = "GET", **parameters: Any) -> Any:
        headers = {"X-Image-Cloud-Token": tokens[who]}
        return node.as_client(headers, method, parameters)

    body = {"urls": urls(origin, 1)}
    taken = node.until(
        202, lambda: node.as_client({"X-Image-Cloud-Token": tokens["ann"]}, "POST", {}, body)
    )
    batch = taken.json()["batch"]
    assert [one["batch"] for one in ask("ann").json()["batches"]] == [batch]
    assert ask("bob").json()["batches"] == []
    assert ask("ann", batch=batch).json()["client"] == "ann"
    for method, more in (("GET", {}), ("DELETE", {}), ("POST", {"retry": "true"})):
        problem(ask("bob", method, batch=batch, **more), 404, "batch_unknown")
    assert node.progress(batch)["client"] == "ann"
    assert batch in [one["batch"] for one in get(node.stack, PATH).json()["batches"]]


def test_every_line_about_a_url_carries_its_batch(node: Node, origin: Origin) -> None:
    first = node.batch(urls(origin, 1, answer(500), path="/told"))
    assert node.finished(first)["failed"] == 1

    def lines() -> list[str]:
        return [line for line in node.log("image-cloud-prefetch").splitlines() if first in line]

    eventually(lambda: any("event=prefetch_failed" in line for line in lines()), "it is logged")
    assert all(f" id={first} " in line for line in lines() if " key=" in line)
    assert any("event=prefetch_retry" in line for line in lines())


def test_the_command_line(node: Node, origin: Origin, tmp_path: Path) -> None:
    """From another machine: with --url and --token-file alone."""
    node.set_limits({"127.0.0.1": 1})
    (tmp_path / "token").write_text(node.stack.token)
    gate = Gate(answer(404))
    batch = node.batch(urls(origin, 3, gate))
    gate.await_arrival()

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        place = ["--url", node.stack.url, "--token-file", str(tmp_path / "token")]
        return subprocess.run(
            [str(CHECKOUT / ".venv/bin/image-cloud"), *place, *arguments],
            env={"IMAGE_CLOUD_HOME": str(tmp_path / "nothing"), "PATH": "/usr/bin:/bin"},
            capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    assert f"{batch}  " in run("batches").stdout
    assert json.loads(run("batches", batch, "--json").stdout)["batches"][0]["waiting"] == 3
    assert run("cancel", batch).stdout == f"{batch}: 2 cancelled\n"
    gate.open()
    assert node.finished(batch)["failed"] == 1
    listed = run("batches", "--limit", "1")
    assert "cancelled: 0 of 3 done, 2 cancelled, 1 failed (origin_not_found 1)" in listed.stdout
    origin.behave("/p", picture)
    assert json.loads(run("retry", batch, "--json").stdout) == {
        "batches": [{"batch": batch, "queued": 1}]
    }
    assert node.finished(batch)["done"] == 1
    for command in ("batches", "cancel", "retry"):
        unknown = run(command, "nonsense")
        assert (unknown.returncode, unknown.stdout) == (4, "")
        assert "batch_unknown" in unknown.stderr
    assert run("cancel").returncode == run("batches", "--limit", "x").returncode == 2
    with pytest.raises(Refused):
        node.stack.cli("cancel", "nonsense")
