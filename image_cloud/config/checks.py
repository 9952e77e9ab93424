"""What must hold between options."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from pathlib import Path

from image_cloud.config.sections import Config, Database

NAMED = re.compile(r"[a-z_]+")


def _clients(config: Config) -> Iterator[str]:
    clients = config.clients
    tls = {name: getattr(clients, name) for name in ("tls_listen", "tls_certificate", "tls_key")}
    missing = [name for name, value in tls.items() if not value]
    if 0 < len(missing) < len(tls):
        yield f"[clients] {' and '.join(missing)}: expected, too, where the rest of tls_... is given"
    if clients.tls_listen and clients.tls_listen == config.node.listen:
        yield "[clients] tls_listen: expected another address or port than that of [node] listen"
    port = int(clients.tls_listen.rpartition(":")[2] or 1)
    if not 1 <= port <= 65535:
        yield f"[clients] tls_listen: expected a port from 1 to 65535, not {port}"
    peers = [peer for peer in config.cluster.peers if peer.name != config.node.name]
    limits = clients.rate or clients.rate_without_token or clients.connections
    beyond = [network for network in clients.unlimited if not network.is_loopback]
    if peers and limits and not beyond and not all(_is_local(peer.url) for peer in peers):
        yield "[clients] unlimited: expected the peers' networks, too, where there are limits"


def _is_local(url: str) -> bool:
    return url.partition("//")[2].startswith(("127.", "[::1]"))


def contradictions(config: Config, unread: Set[str] = frozenset()) -> Iterator[str]:
    """Yield one line for each pair of options that cannot hold together.

    What names one of the `unread` options is left out: they have their defaults, not what was meant.
    """
    for line in _contradictions(config):
        if not unread & set(NAMED.findall(line)):
            yield line


def _contradictions(config: Config) -> Iterator[str]:
    resize, failures = config.resize, config.failures
    if resize.thumbnail_size not in resize.thumbnail_sizes:
        sizes = ", ".join(map(str, resize.thumbnail_sizes))
        yield f"[resize] thumbnail_size = {resize.thumbnail_size}: expected one of {sizes} (thumbnail_sizes)"
    if failures.first_keep > failures.longest_keep:
        yield "[failures] first_keep: expected no more than longest_keep"
    if config.politeness.first_pause > config.politeness.longest_pause:
        yield "[politeness] first_pause: expected no more than longest_pause"
    if config.prefetch.first_wait > config.prefetch.longest_wait:
        yield "[prefetch] first_wait: expected no more than longest_wait"
    storage = config.storage
    if storage.local != storage.path and Path(storage.local).is_relative_to(storage.path):
        yield "[storage] variants_path: expected a folder outside that of path"
    port = int(config.node.listen.rpartition(":")[2])
    if not 1 <= port <= 65535:
        yield f"[node] listen: expected a port from 1 to 65535, not {port}"
    names = [peer.name for peer in config.cluster.peers]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"[cluster] peers: {name} stands there {names.count(name)} times, expected is once"
    yield from _clients(config)
    yield from _database(config)


def _database(config: Config) -> Iterator[str]:
    if config.database.dsn == Database().dsn.replace("{home}", config.home):
        return
    import psycopg2.extensions  # not every process with a configuration has a database

    try:
        parts = psycopg2.extensions.parse_dsn(config.database.dsn)
    except psycopg2.ProgrammingError:  # its text repeats the value, and so a password
        yield "[database] dsn: expected a libpq connection string (name=value ... or postgresql://...)"
        return
    has_several = "," in parts.get("host", "") + parts.get("hostaddr", "")
    if has_several and parts.get("target_session_attrs") not in ("read-write", "primary"):
        yield "[database] dsn: expected target_session_attrs=read-write where it names several hosts"
