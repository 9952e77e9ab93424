"""A node for tests: its parts wired as in production, below a folder of its own, with nothing running."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from image_cloud.config import load_config
from image_cloud.config.sections import Database as Settings
from image_cloud.node import Node
from tests.storage import new_store

AWAY = Settings(dsn="host=/nonexistent")
RUN_FOLDERS = ("pools", "sockets", "beats", "metrics")


def new_node(home: Path, settings: str = "", database: Settings = AWAY) -> Node:
    """Return a node that may fetch from this machine; `settings` are `section.option=value;...`."""
    new_store(home / "storage")
    for name in RUN_FOLDERS:
        (home / "run" / name).mkdir(parents=True)
    (home / "history").mkdir()
    overrides = f"download.allow_networks=127.0.0.0/8;{settings}"
    config = load_config(None, home=str(home), overrides=overrides)
    return Node(dataclasses.replace(config, database=database))
