"""The prefetch part of `image-cloud status`: the queue, and domains that are paused or failing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from image_cloud.db import prefetch_batches
from image_cloud.node import Node
from image_cloud.politeness import limits
from image_cloud.politeness.breaker import Domains


def print_prefetch(node: Node) -> None:
    """Print it, one fact a line; the caller has become the run user."""
    with node.database.transaction() as cursor:
        backlog = prefetch_batches.backlog(cursor)
    print(
        f"prefetch: {'working' if node.store.space.has_room() else 'paused, the storage is full'}"
    )
    print(f"prefetch_waiting: {backlog.urls}")
    print(f"prefetch_under_way: {backlog.under_way}")
    print(f"prefetch_trying_again: {backlog.later}")
    print(f"prefetch_batches: {backlog.batches}")
    print(f"limits: {limits_state(Path(node.config.politeness.limits_file))}")
    for line in troubled_domains(node.domains, time.time()):
        print(line)


def limits_state(path: Path) -> str:
    """Say whether the limits file is good; if not, the last good one holds."""
    try:
        found = limits.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"no {path.name}: {limits.DEFAULT} for each domain"
    except (OSError, ValueError) as error:
        return f"{path.name} is refused, the last good one holds: {error}"
    return f"{found.default} by default, {len(found.entries)} entries"


def troubled_domains(domains: Domains, now: float) -> Iterator[str]:
    """Yield a line for each domain that is paused or failing."""
    for trouble in domains.troubles():
        left_s = max(0, round(trouble.until - now))
        status = f" {trouble.upstream_status}" if trouble.upstream_status else ""
        yield (
            f"domain {trouble.domain}: {trouble.state(now)}, paused for {left_s} s, "
            f"{trouble.failures} failures, {trouble.code}{status}"
        )
