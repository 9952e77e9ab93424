"""`explain` over HTTP and on the command line: why a picture is, or is not, here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from tests.frontdoor.client import eventually, get, jpeg, problem
from tests.origin import Origin
from tests.stack.running import Refused, Stack


def explained(stack: Stack, url: str, **parameters: Any) -> dict[str, Any]:
    came = get(stack, "/explain", url=url, **parameters)
    assert came.status_code == 200, came.text
    told: dict[str, Any] = came.json()
    return told


@contextmanager
def without_database(stack: Stack) -> Iterator[None]:
    stack.supervisorctl("stop", "postgres")
    try:
        yield
    finally:
        stack.supervisorctl("start", "postgres")
        eventually(lambda: get(stack, "/ready").json()["status"] == "ok", "the database is back")


def test_a_picture_from_its_first_request_to_its_end(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/explained.jpg", jpeg(400, 300))
    assert "nobody has asked" in explained(stack, url)["verdict"]
    assert get(stack, "/get_thumbnail", url=url).status_code == 200
    told = eventually(
        lambda: (it := explained(stack, url))["log"] and it["catalogue"] and it, "it is known"
    )
    assert told["verdict"].startswith("here, with")
    assert told["original"]["bytes"] == told["record"]["bytes"] == told["catalogue"]["bytes"]
    assert told["differences"] == []
    assert "200x200-fit-q85.jpg" in [one["name"] for one in told["variants"]]
    assert any("event=downloaded" in line and " id=" in line for line in told["log"])
    assert (told["domain"]["state"], told["domain"]["slots"]["used"]) == ("healthy", 0)
    assert told["peers"] == {}
    assert get(stack, "/delete_image", "DELETE", url=url, block="true").status_code == 200
    assert explained(stack, url)["verdict"].startswith("blocked since")
    assert get(stack, "/delete_image", "DELETE", url=url, block="false").status_code == 200
    assert explained(stack, url)["verdict"].startswith("deleted at")


def test_a_picture_that_the_origin_has_not(stack: Stack, origin: Origin) -> None:
    url = origin.url("/explained-nowhere.jpg")
    came = get(stack, "/get_image", url=url)
    problem(came, 404, "origin_not_found")
    told = explained(stack, url)
    assert "(origin_not_found); asked again after" in told["verdict"]
    assert told["failures"]["fetch"]["upstream_status"] == 404
    assert told["original"] is None
    told = eventually(lambda: (it := explained(stack, url))["log"] and it, "the log has it")
    assert "event=download_failed" in told["log"][-1]
    assert "code=origin_not_found upstream_status=404" in told["log"][-1]
    assert f" id={came.headers['X-Request-Id']} " in told["log"][-1]


def test_who_may_ask(stack: Stack) -> None:
    url = "http://shop.example/a.jpg"
    problem(requests.get(f"{stack.url}/explain?url={url}", timeout=30), 401, "token_missing")
    for name, scopes, allowed in (
        ("explain-reads", "read", ()),
        ("explain-peer", "peer", ("true",)),
        ("explain-ops", "ops", ("true", "false")),
    ):
        token = stack.cli("token", "add", name, scopes).strip()
        headers = {"X-Image-Cloud-Token": token}

        def status(local: str, headers: dict[str, str] = headers) -> int:
            query = {"url": url, "local": local}
            return requests.get(
                f"{stack.url}/explain", params=query, headers=headers, timeout=30
            ).status_code

        eventually(lambda: status("true") != 401, "the token is known")
        assert [status(local) for local in ("true", "false")] == [
            200 if local in allowed else 403 for local in ("true", "false")
        ]
        stack.cli("token", "revoke", name)
    problem(get(stack, "/explain"), 400, "bad_parameter")
    problem(get(stack, "/explain", url=url, local="perhaps"), 400, "bad_parameter")


def test_without_the_database(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/explained-away.jpg", jpeg(400, 300))
    assert get(stack, "/get_image", url=url).status_code == 200
    with without_database(stack):
        told = explained(stack, url)
    assert told["database"] != "ok"
    assert told["verdict"].startswith("here")


def test_the_command(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/explained-cli.jpg", jpeg(400, 300))
    with pytest.raises(Refused, match="nobody has asked"):
        stack.cli("explain", url)
    assert get(stack, "/get_image", url=url).status_code == 200
    said = stack.cli("explain", url)
    assert "here, with 0 variants" in said
    assert '"verdict"' in stack.cli("explain", url, "--json")
