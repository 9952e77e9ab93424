"""Reads what stands in monitoring/."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[1] / "monitoring"
ALERTS, DASHBOARD = FOLDER / "alerts.yml", FOLDER / "grafana/image-cloud.json"
_NAME = re.compile(r"\bimage_cloud_\w+")
_PARTS = re.compile(r"(_duration_seconds)_(bucket|sum|count)$")


def rules() -> list[dict[str, Any]]:
    """Return all alerts."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard_queries() -> list[str]:
    """Return what the panels ask for."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def named(text: str) -> list[str]:
    """Return the metrics of ours that a text names, a histogram by its own name."""
    return [_PARTS.sub(r"\1", name) for name in _NAME.findall(text)]


def all_named() -> set[str]:
    """Return the metrics of ours that alerts and dashboard ask for."""
    return {name for text in (*dashboard_queries(), ALERTS.read_text()) for name in named(text)}
