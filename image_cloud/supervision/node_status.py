"""How this node is, for operators and peers: `/node_status`, `image-cloud status`, and the pages."""

from __future__ import annotations

import dataclasses
import itertools
import os
import time
from pathlib import Path
from typing import Any

from image_cloud import __version__
from image_cloud.cluster.peer_states import PeerState, PeerStates
from image_cloud.db import clones, feed
from image_cloud.db.catalog import about, count_gone
from image_cloud.db.connect import Database
from image_cloud.db.history import HistoryReader
from image_cloud.db.prefetch import batches, refreshing
from image_cloud.errors import ImageCloudError
from image_cloud.history import traffic
from image_cloud.history.lately import lately
from image_cloud.node import Node
from image_cloud.politeness import limits
from image_cloud.politeness.overview import Overview
from image_cloud.process.sockets import SERVERS
from image_cloud.storage.files import count_in
from image_cloud.storage.guard.guarded import Guard
from image_cloud.storage.space import Space
from image_cloud.supervision.readiness import OK, Readiness, pool_checks

MOST_DOMAINS = 50
OF_ROWS = ("pictures_about", "prefetch", "clone_backlog", "feed_held", "refresh")
Facts = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a node's state is read from; `run` is the folder of sockets and counters."""

    name: str
    storage: Path
    run: Path
    limits_file: Path
    readiness: Readiness
    space: Space
    guard: Guard
    database: Database
    domains: Overview
    peers: PeerStates
    history: HistoryReader
    gone_after: int = 1


class NodeStatus:
    """Reads one node's state; costs no walk over pictures and no count of rows but those that wait."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def facts(self) -> Facts:
        """Return the state as JSON; what cannot be had without the database is None while it is away."""
        parts = self._parts
        state = parts.readiness.state()
        rows = self._rows() if state["database"] == OK else None
        return {
            "node": parts.name,
            "version": __version__,
            "at": time.time(),
            "uptime_s": _uptime_s(parts.run),
            "status": OK if all(one == OK for one in state.values()) else "degraded",
            **state,
            "pools": parts.readiness.pools(),
            "disk": parts.guard.ask(NO_DISK, _disk, parts.storage),
            "traffic": _traffic(parts.history),
            "lately": lately(parts.history, time.time()),
            "unrecorded": parts.guard.ask(0, count_in, parts.storage / "unrecorded"),
            "prefetch_paused": not parts.guard.ask(False, parts.space.has_room),
            "limits": limits_state(parts.limits_file),
            "domains": list(itertools.islice(parts.domains.all(), MOST_DOMAINS)),
            "peers": [_peer(one) for one in parts.peers.read().values()],
            **(rows or dict.fromkeys(OF_ROWS)),
        }

    def _rows(self) -> Facts | None:
        try:
            with self._parts.database.transaction() as cursor:
                return {
                    "pictures_about": about(cursor),
                    "prefetch": dataclasses.asdict(batches.backlog(cursor)),
                    "clone_backlog": clones.count(cursor),
                    "feed_held": dataclasses.asdict(feed.held(cursor)),
                    "refresh": {
                        "waiting": refreshing.count(cursor),
                        "gone": count_gone(cursor, self._parts.gone_after),
                    },
                }
        except ImageCloudError:
            return None


def readiness_of(node: Node) -> Readiness:
    """Return what the control pool knows of the node's readiness: it asks the others whether they are up."""
    others = (one for one in SERVERS if one != "control")
    checks = pool_checks(node.config.node.run, others)
    return Readiness(node.store.space, node.database, checks, node.variants_check)


def status_of(node: Node, readiness: Readiness) -> NodeStatus:
    """Return what reads the state of `node`."""
    return NodeStatus(
        Parts(
            name=node.config.node.name,
            storage=node.storage,
            run=node.run,
            limits_file=Path(node.config.politeness.limits_file),
            readiness=readiness,
            space=node.store.space,
            guard=node.storage_guard,
            database=node.database,
            domains=Overview(node.gate),
            peers=node.peer_states,
            history=node.history,
            gone_after=node.config.refresh.gone_after,
        )
    )


def limits_state(path: Path) -> str:
    """Say whether the limits file is good; if not, the last good one holds."""
    try:
        found = limits.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"no {path.name}: {limits.DEFAULT} for each domain"
    except (OSError, ValueError) as error:
        return f"{path.name} is refused, the last good one holds: {error}"
    return f"{found.default} by default, {len(found.entries)} entries"


NO_DISK = dict.fromkeys(("bytes", "bytes_free", "inodes", "inodes_free"), 0)


def _disk(storage: Path) -> Facts:
    status = os.statvfs(storage)
    return {
        "bytes": status.f_blocks * status.f_frsize,
        "bytes_free": status.f_bavail * status.f_frsize,
        "inodes": status.f_files,
        "inodes_free": status.f_favail,
    }


def _traffic(history: HistoryReader) -> Facts:
    """Return what nginx's log adds up to since the node was made."""
    seen = traffic.load(history)
    pictures = sum(seen.caches.values())
    hits = seen.caches.get("HIT", 0)
    return {
        "answers": sum(seen.statuses.values()),
        "statuses": seen.statuses,
        "pictures": seen.caches,
        "hit_share": round(hits / pictures, 4) if pictures else None,
        "bytes_sent": seen.bytes,
    }


def _peer(state: PeerState) -> Facts:
    return {
        "name": state.name,
        "url": state.url,
        "alive": state.is_alive(time.time()),
        "last_seen": state.last_seen,
        "backlog": state.backlog,
        "held_s": state.held_s,
        "error": state.error,
        "is_stopped": state.is_stopped,
    }


def _uptime_s(run: Path) -> float | None:
    """Return for how long supervisord has run, None where that is not known."""
    try:
        pid = int((run / "supervisord.pid").read_text())
        started = os.stat(f"/proc/{pid}").st_mtime
    except (OSError, ValueError):
        return None
    return round(time.time() - started, 1)
