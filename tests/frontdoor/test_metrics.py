"""/metrics of a real node: all that is counted, and nothing secret."""

from __future__ import annotations

import contextlib

import requests
from prometheus_client.parser import text_string_to_metric_families as parse

from image_cloud.metrics.definitions import all_definitions
from tests.frontdoor.client import eventually, get, jpeg, problem
from tests.monitoring import all_named, named
from tests.origin import Origin
from tests.stack.running import Stack

Found = dict[str, list[tuple[dict[str, str], float]]]


def scrape(stack: Stack) -> Found:
    """Return the samples by name, each with its labels."""
    found: Found = {}
    for family in parse(get(stack, "/metrics").text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def value(stack: Stack, name: str, **labels: str) -> float:
    """Return the sum of the series with these labels."""
    samples = scrape(stack).get(f"image_cloud_{name}", [])
    return sum(number for found, number in samples if labels.items() <= found.items())


def test_a_picture_s_way_is_counted(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/counted.jpg", jpeg(seed=31))
    names: tuple[tuple[str, dict[str, str]], ...] = (
        ("downloads_total", {"outcome": "ok"}), ("download_duration_seconds_count", {}),
        ("downloaded_bytes_total", {}), ("resizes_total", {"outcome": "ok"}),
        ("resize_duration_seconds_count", {}),
    )  # fmt: skip
    before = [value(stack, name, **labels) for name, labels in names]
    assert get(stack, "/get_thumbnail", url=url).status_code == 200

    def are_counted() -> bool:
        now = [value(stack, name, **labels) for name, labels in names]
        return all(one > old for one, old in zip(now, before, strict=True))

    eventually(are_counted, "download and resize are counted")


def test_failures_are_counted_by_their_code(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/missing.jpg", b"", status=404)
    before = value(stack, "downloads_total", outcome="origin_not_found")
    problem(get(stack, "/get_image", url=url), 404, "origin_not_found")
    eventually(
        lambda: value(stack, "downloads_total", outcome="origin_not_found") == before + 1,
        "the failure is counted",
    )


def test_every_metric_of_alerts_and_dashboard_is_in_a_scrape(stack: Stack) -> None:
    """Those of peers are looked for in tests/cluster."""
    of_peers = {one.full_name for one in all_definitions() if "peer" in one.labels}
    assert get(stack, "/get_image", url="http://127.0.0.2:1/a.jpg").status_code == 502
    missing = all_named()

    def nothing_is_missing() -> bool:
        missing.difference_update(of_peers, named(" ".join(scrape(stack))))
        return not missing

    with contextlib.suppress(AssertionError):
        eventually(nothing_is_missing, "every metric has a sample")
    assert not missing


def thumbnails(stack: Stack, result: str) -> float:
    return value(stack, "requests_total", route="/get_thumbnail", result=result, status="200")


def test_hits_and_misses_are_counted(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/hits-counted.jpg", jpeg(seed=32))
    before = {result: thumbnails(stack, result) for result in ("nginx", "front", "resized")}

    def more(*results: str) -> float:
        return sum(thumbnails(stack, result) - before[result] for result in results)

    for _ in range(21):
        assert get(stack, "/get_thumbnail", url=url).status_code == 200
    eventually(lambda: more("nginx", "front") >= 20, "hits are counted")
    assert more("nginx") > 0
    assert value(stack, "requests_total", client="first", result="nginx") > 0
    eventually(lambda: more("resized") >= 1, "the miss, too")


def test_the_state_of_the_node(stack: Stack) -> None:
    eventually(lambda: value(stack, "up", part="database") == 1, "the database is up")
    eventually(lambda: value(stack, "up", part="storage") == 1, "the storage is up")
    assert value(stack, "pool_limit", pool="fetch") > 0
    answer = get(stack, "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert stack.token not in answer.text
    assert "http://" not in answer.text


def test_the_token_of_prometheus_opens_nothing_else(stack: Stack, origin: Origin) -> None:
    problem(requests.get(stack.url + "/metrics"), 401, "token_missing")
    token = stack.cli("token", "add", "prom", "metrics").strip()
    headers = {"Authorization": f"Bearer {token}"}
    url = origin.serve("/not-for-prometheus.jpg", jpeg(seed=32))

    def ask(path: str, **parameters: str) -> requests.Response:
        return requests.get(stack.url + path, params=parameters, headers=headers)

    try:
        eventually(lambda: ask("/metrics").status_code == 200, "the token is known")
        for path in (
            "/domains",
            "/node_status",
            "/changes",
            "/openapi.json",
            "/alternative_clouds",
        ):
            problem(ask(path), 403, "scope_missing")
        for path in ("/get_image", "/get_thumbnail", "/explain"):
            problem(ask(path, url=url), 403, "scope_missing")
    finally:
        stack.cli("token", "revoke", "prom")


def test_metrics_are_not_for_everybody(stack: Stack) -> None:
    token = stack.cli("token", "add", "no-operator", "read").strip()
    headers = {"X-Image-Cloud-Token": token}

    def answer() -> requests.Response:
        return requests.get(stack.url + "/metrics", headers=headers)

    eventually(lambda: answer().status_code == 403, "the token is known")
    problem(answer(), 403, "scope_missing")
    stack.cli("token", "revoke", "no-operator")
