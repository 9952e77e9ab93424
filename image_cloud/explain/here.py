"""Explains one URL from what this node knows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from image_cloud.db import one_picture
from image_cloud.db.connect import Database
from image_cloud.explain.disk import Facts, on_disk
from image_cloud.explain.log_lines import lines_about
from image_cloud.explain.verdict import verdict
from image_cloud.picture.url import Url
from image_cloud.politeness.overview import Overview
from image_cloud.storage.failures import Failures
from image_cloud.storage.store import Store

COMPARED = ("url", "format", "width", "height", "bytes", "sha256", "stored_at", "stored_from")


class Here:
    """This node, `name`; `logs` is the folder of its programs' logs."""

    def __init__(
        self,
        name: str,
        store: Store,
        failures: Failures,
        database: Database,
        domains: Overview,
        logs: Path,
    ) -> None:
        self._name = name
        self._store = store
        self._failures = failures
        self._database = database
        self._domains = domains
        self._logs = logs

    def without_database(self, url: Url) -> Facts:
        """Return what disk, limits and logs say."""
        return {
            "node": self._name,
            "url": url.text,
            "key": url.key,
            "at": time.time(),
            **on_disk(self._store, self._failures, url.key),
            "domain": self._domains.of(url),
            "log": lines_about(self._logs, url.key),
        }

    def rows(self, url: Url) -> Facts:
        """Return what the database says.  Raises DatabaseUnavailable."""
        with self._database.transaction() as cursor:
            return one_picture.rows_of(cursor, url.key)


def together(facts: Facts, rows: Facts | None, error: str = "") -> Facts:
    """Return one node's explanation; `rows` are None where the database did not answer: `error` says why."""
    whole: Facts = {**facts, "database": error or "ok", **(rows or {})}
    whole["differences"] = differences(whole) if rows is not None else []
    whole["verdict"] = verdict(whole)
    return whole


def differences(facts: Facts) -> list[str]:
    """Return in which facts record and row of a picture disagree; a row that is still to come is none."""
    record, row = facts["record"], facts["catalogue"]
    is_live = bool(row) and row["deleted_at"] is None
    if facts["unrecorded"] and not is_live:
        return []
    if record is None or not is_live:
        return ["record" if is_live else "catalogue"] if is_live or record else []
    return [name for name in COMPARED if not _alike(record[name], row[name])]


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) < 0.00001
    return bool(one == other)
