"""GET /metrics through the pools: the state of the node, also while its database and decoder are away."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from image_cloud.cluster.peer_states import PeerState
from image_cloud.errors import OriginStatus
from image_cloud.politeness.limits import Domain
from image_cloud.supervision.metrics.domains import MOST_NAMED
from tests.node import new_node
from tests.pools import Answer, Pools


@pytest.fixture
def pools(tmp_path: Path) -> Pools:
    return Pools(new_node(tmp_path, "politeness.jitter=0"))


def lines(pools: Pools) -> set[str]:
    return set(pools.get("/metrics").body.decode().splitlines())


def values(pools: Pools, name: str) -> dict[str, float]:
    """Return the series of a metric with one label, by its value."""
    start = f"image_cloud_{name}{{"
    found = [line.removeprefix(start) for line in lines(pools) if line.startswith(start)]
    return {one.split('"')[1]: float(one.rpartition(" ")[2]) for one in found}


def test_the_state_of_a_node_whose_database_and_decoder_are_away(
    pools: Pools, tmp_path: Path
) -> None:
    (tmp_path / "storage/unrecorded/a.json").write_text("{}")
    (tmp_path / "storage/quarantine/b").write_text("")
    for name in ("janitor.audit", "prefetch.1.download-17", "prefetch.2.download-3", "prefetch.2"):
        (tmp_path / "run/beats" / f"image-cloud-{name}").write_text("1")
    os.utime(tmp_path / "run/beats/image-cloud-prefetch.1.download-17", (1.0, 1.0))
    answer = pools.get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    found = set(answer.body.decode().splitlines())
    assert {
        'image_cloud_up{part="storage"} 1.0', 'image_cloud_up{part="database"} 0.0',
        'image_cloud_pool_running{pool="fetch"} 0.0', "image_cloud_unrecorded_originals 1.0",
        "image_cloud_quarantined_files 1.0", 'image_cloud_domains{state="broken"} 0.0',
    } <= found  # fmt: skip
    assert not any("decoder_workers " in line and not line.startswith("#") for line in found)
    assert any(line.startswith("image_cloud_build_info{") for line in found)
    beat = 'image_cloud_heartbeat_age_seconds{program="janitor",thread="audit"} '
    assert any(line.startswith(beat) for line in found)
    of_prefetch = [line for line in found if 'age_seconds{program="prefetch"' in line]
    assert len(of_prefetch) == 2
    (slowest,) = (line for line in of_prefetch if 'thread="download"' in line)
    assert float(slowest.rpartition(" ")[2]) > 1e9
    assert any('thread="main"' in line for line in of_prefetch)


def test_peers(pools: Pools) -> None:
    states = pools.nodes["control"].peer_states
    states.update(PeerState("ic01", "http://ic01", True, 1.0, 7, held_s=3.0, is_stopped=True))
    assert {
        'image_cloud_peer_alive{peer="ic01"} 0.0', 'image_cloud_peer_backlog{peer="ic01"} 7.0',
        'image_cloud_peer_feed_held_seconds{peer="ic01"} 3.0', 'image_cloud_feed_stopped{peer="ic01"} 1.0',
    } <= lines(pools)  # fmt: skip


def test_the_worst_domains_by_name_the_rest_together(pools: Pools) -> None:
    domains = pools.nodes["control"].domains
    count = MOST_NAMED + 10
    for number in range(count):
        error = OriginStatus(upstream_status=429, retry_after_s=1000 + 10 * number)
        domains.failed(f"shop{number}.example", error)
    assert values(pools, "domains")["paused"] == count
    for name in ("domain_pause_seconds", "domain_failures"):
        found = values(pools, name)
        assert len(found) == MOST_NAMED + 1
        assert f"shop{count - 1}.example" in found
        assert "shop0.example" not in found
    assert 1000 < values(pools, "domain_pause_seconds")["other"] <= 1100


def test_slots_of_domains_that_operators_limit(pools: Pools, tmp_path: Path) -> None:
    Path(pools.nodes["fetch"].config.politeness.limits_file).write_text(
        json.dumps({"shop.example": 3})
    )
    slot = pools.nodes["fetch"].gate.slots.try_one(Domain("shop.example", "shop.example", 3))
    assert slot
    assert values(pools, "domain_slots_used")["shop.example"] == 1
    assert values(pools, "domain_slots_allowed")["shop.example"] == 3
    slot.give_back()


@pytest.mark.parametrize(("scopes", "status"), [("metrics", 200), ("ops", 200), ("read", 403)])
def test_the_scope_metrics_opens_this_alone(pools: Pools, scopes: str, status: int) -> None:
    token = pools.token_for(scopes)

    def ask(path: str) -> Answer:
        return pools.ask("GET", path, token=token, url="http://a.example/a.jpg")

    assert ask("/metrics").status == status
    if scopes == "metrics":
        for path in (
            "/domains",
            "/node_status",
            "/changes",
            "/explain",
            "/get_image",
            "/openapi.json",
        ):
            assert ask(path).json["code"] == "scope_missing", path
