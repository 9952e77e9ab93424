"""What stands in monitoring/: alerts, their tests, the dashboard, and what each of them refers to."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring import ALERTS, DASHBOARD, FOLDER, dashboard_queries, named, rules

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def cases() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
    return [case for one in found for case in one["alert_rule_test"]]


def test_promtool_has_nothing_to_say() -> None:
    promtool("check", "rules", "alerts.yml")
    promtool("check", "config", "--syntax-only", "prometheus.yml")


def test_every_alert_fires_and_stays_silent() -> None:
    promtool("test", "rules", "alerts_test.yml")
    alerts = sorted(one["alert"] for one in rules())
    assert sorted(one["alertname"] for one in cases() if one["exp_alerts"]) == alerts
    assert sorted(one["alertname"] for one in cases() if not one["exp_alerts"]) == alerts


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_every_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    document, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^### (.*)$", (ROOT / document).read_text(), re.MULTILINE)
    assert anchor in [heading.lower().replace(" ", "-") for heading in headings]
    assert rule["alert"] in (DOCS / "operations.md").read_text()
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert "$labels.instance" in rule["annotations"]["summary"]


def test_the_dashboard_can_be_provisioned() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    variables = {one["name"]: one for one in dashboard["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["node"]["query"]["query"] == "label_values(image_cloud_build_info, instance)"
    identifiers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(identifiers)) == len(identifiers)
    assert "id" not in dashboard
    queries = dashboard_queries()
    assert len(queries) > 40
    for query in queries:
        assert query.count('instance=~"$node"') == len(named(query)), query


def test_promtool_understands_every_query_of_the_dashboard(tmp_path: Path) -> None:
    filled = [
        query.replace("$__rate_interval", "5m").replace("$node", ".*")
        for query in dashboard_queries()
    ]
    named_rules = [{"record": f"query:{number}", "expr": one} for number, one in enumerate(filled)]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": named_rules}]}))
    promtool("check", "rules", str(path))


def test_what_is_asked_for_is_defined() -> None:
    """tests/frontdoor/test_metrics.py looks for each of them in a real scrape."""
    from image_cloud.metrics.definitions import all_definitions

    known = {one.full_name for one in all_definitions()}
    asked = {name for text in (*dashboard_queries(), ALERTS.read_text()) for name in named(text)}
    assert asked <= known, asked - known
    assert {one for one in known if one not in asked} <= {
        "image_cloud_decoder_workers", "image_cloud_peer_silent_seconds", "image_cloud_peer_backlog",
        "image_cloud_peer_feed_held_seconds", "image_cloud_evicted_bytes_total",
        "image_cloud_audited_bytes_total", "image_cloud_audit_finished_timestamp_seconds",
        "image_cloud_variants",
    }  # fmt: skip
