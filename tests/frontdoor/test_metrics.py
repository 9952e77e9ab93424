"""/metrics: what nginx answered alone is in it, and nothing secret."""

import functools

import requests

from tests.frontdoor.client import eventually, get, jpeg, problem
from tests.origin import Origin
from tests.stack.running import Stack


def value(stack: Stack, name: str) -> float:
    lines = get(stack, "/metrics").text.splitlines()
    return next(
        (float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + " ")), 0.0
    )


def test_hits_and_misses_are_counted(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/counted.jpg", jpeg(seed=31))
    names = {kind: f'image_cloud_pictures_total{{cache="{kind}"}}' for kind in ("HIT", "RESIZED")}
    before = {kind: value(stack, name) for kind, name in names.items()}
    for _ in range(21):
        assert get(stack, "/get_thumbnail", url=url).status_code == 200
    eventually(lambda: value(stack, names["HIT"]) >= before["HIT"] + 20, "hits are counted")
    eventually(lambda: value(stack, names["RESIZED"]) >= before["RESIZED"] + 1, "the miss, too")
    assert value(stack, 'image_cloud_responses_total{status="200"}') >= 21


def test_the_state_of_the_node(stack: Stack) -> None:
    for part in ("database", "storage"):
        up = functools.partial(value, stack, f'image_cloud_up{{part="{part}"}}')
        eventually(up, f"{part} is up")
    assert value(stack, 'image_cloud_pool_limit{pool="fetch"}') > 0
    answer = get(stack, "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert stack.token not in answer.text


def test_what_is_at_work_and_what_waits(stack: Stack) -> None:
    def is_told() -> bool:
        lines = get(stack, "/metrics").text.splitlines()
        idle = 'image_cloud_pool_running{pool="decoder"} 0.0' in lines
        return idle and "image_cloud_clone_requests 0.0" in lines

    eventually(is_told, "nothing is at work, nothing waits")


def test_metrics_are_for_operators(stack: Stack) -> None:
    problem(requests.get(stack.url + "/metrics"), 401, "token_missing")
    token = stack.cli("token", "add", "no-operator", "read").strip()
    headers = {"X-Image-Cloud-Token": token}

    def answer() -> requests.Response:
        return requests.get(stack.url + "/metrics", headers=headers)

    eventually(lambda: answer().status_code == 403, "the token is known")
    problem(answer(), 403, "scope_missing")
    stack.cli("token", "revoke", "no-operator")
