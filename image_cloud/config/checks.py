"""What must hold between options."""

from __future__ import annotations

from collections.abc import Iterator

from image_cloud.config.sections import Config


def contradictions(config: Config) -> Iterator[str]:
    """Yield one line for each pair of options that cannot hold together."""
    resize, failures = config.resize, config.failures
    if resize.thumbnail_size not in resize.thumbnail_sizes:
        sizes = ", ".join(map(str, resize.thumbnail_sizes))
        yield f"[resize] thumbnail_size = {resize.thumbnail_size}: expected one of {sizes}"
    if failures.first_keep > failures.longest_keep:
        yield "[failures] first_keep: expected no more than longest_keep"
    if config.politeness.first_pause > config.politeness.longest_pause:
        yield "[politeness] first_pause: expected no more than longest_pause"
    if config.prefetch.first_wait > config.prefetch.longest_wait:
        yield "[prefetch] first_wait: expected no more than longest_wait"
    port = int(config.node.listen.rpartition(":")[2])
    if not 1 <= port <= 65535:
        yield f"[node] listen: expected a port from 1 to 65535, not {port}"
    names = [peer.name for peer in config.cluster.peers]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"[cluster] peers: {name} stands there {names.count(name)} times, expected is once"
