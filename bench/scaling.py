"""Simulates clusters of 4 to 256 nodes: balance, share moved, clone traffic, time to refill a lost node, polls.

.venv/bin/python -m bench.scaling        # tables on standard output, chart in docs/scaling.svg

The bids are the product's own (image_cloud/cluster/placement.py); only time and network are computed.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import hashlib
import heapq
from collections.abc import Callable
from pathlib import Path

from daemons.peer_clone.follower import PROBE_S
from image_cloud.cluster.feed_page import MOST_WAITING, RECHECK_S
from image_cloud.cluster.placement import weight
from image_cloud.config.sections import Cluster

SIZES = (4, 16, 64, 256)
FEED_SIZES = (4, 16, 32, 64, 128, 256)
REPLICAS = (0, 3, 2)  # 0: a copy on every node
PICTURES = 30_000
STORE_BYTES = 10 * 10**12  # of all pictures together, each counted once
LINKS = {"1 Gbit/s": 125e6, "10 Gbit/s": 1250e6}
USABLE = 0.8  # of a link: the rest is for clients
COLOURS = {0: "#b03030", 3: "#2060a0", 2: "#30904a"}
NAMES = {0: "a copy on every node", 3: "3 replicas", 2: "2 replicas"}


@dataclasses.dataclass(frozen=True)
class Row:
    """One cluster; shares are of all copies."""

    nodes: int
    replicas: int
    fullest: float  # node with most pictures, relative to the mean
    joins: float
    leaves: float
    copies_per_store: int
    node_tb: float
    refill_h: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Feeds:
    """What following the feeds of `nodes` costs each of them, with its one process of the control pool.

    Rates are a second's, while nothing is stored: polls that end without news and are asked again, and looks
    at the node's own database for those that wait.  `lines` is how often a node reads of one store.
    """

    nodes: int
    polls: int
    asked: float
    looks: float
    lines: dict[int, int]


def follow(nodes: int) -> Feeds:
    """Return what each of `nodes` that follow all others does."""
    polls = nodes - 1
    waiting = min(polls, MOST_WAITING)
    at_once = (polls - waiting) / PROBE_S
    asked = waiting / Cluster().poll + at_once
    lines = {replicas: min(replicas or polls, polls) for replicas in REPLICAS}
    return Feeds(nodes, polls, asked, waiting / RECHECK_S + at_once, lines)


def feeds_table(found: list[Feeds]) -> str:
    """Return them as Markdown, beside what is left with shared storage."""
    head = (
        "nodes", "polls a node keeps", "in the cluster", "asked again, 1/s", "looks at the database, 1/s",
        *(f"lines a store, {name}" for name in NAMES.values()), "with shared storage",
    )  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for one in found:
        cells = (
            one.nodes, one.polls, f"{one.nodes * one.polls:,}", f"{one.asked:.0f}", f"{one.looks:.0f}",
            *one.lines.values(), "no poll",
        )  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def simulate(count: int, keys: list[str]) -> list[Row]:
    """Return the rows of one size: the bids of all nodes, and of one more, are drawn once a key."""
    nodes = [f"ic{number:02d}" for number in range(count + 1)]
    newest, last = nodes[-1], nodes[-2]
    most = max(REPLICAS) + 2
    ranked = [heapq.nlargest(most, nodes, key=lambda node: weight(key, node)) for key in keys]
    return [_row(count, replicas, ranked, newest, last) for replicas in REPLICAS]


def _row(count: int, replicas: int, ranked: list[list[str]], newest: str, last: str) -> Row:
    real = replicas or count
    held: collections.Counter[str] = collections.Counter()
    joined = left = 0
    for order in ranked if replicas else ():
        old = [node for node in order if node != newest][:replicas]
        held.update(old)
        joined += newest in order[:replicas]
        left += last in old
    copies = len(ranked) * real
    fullest = max(held.values()) / (copies / count) if held else 1.0
    node_bytes = STORE_BYTES * real / count
    # Whoever refills takes from all others at once: its own link is the narrow place.
    refill_h = {name: node_bytes / (speed * USABLE) / 3600 for name, speed in LINKS.items()}
    joins = joined / copies if replicas else 1 / count
    return Row(
        count, replicas, fullest, joins, left / copies, real - 1, node_bytes / 1e12, refill_h
    )


def table(rows: list[Row]) -> str:
    """Return the rows as Markdown."""
    head = (
        "nodes", "replicas", "fullest node", "moved when one joins", "when one leaves",
        "copies sent per store", "disk per node", *(f"refill at {name}" for name in LINKS),
    )  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        least = 100 / (row.nodes + 1) if row.replicas else 100 / row.nodes
        cells = (
            row.nodes, row.replicas or "all", f"+{(row.fullest - 1) * 100:.1f} %",
            f"{row.joins * 100:.2f} % (least: {least:.2f} %)", f"{row.leaves * 100:.2f} %",
            row.copies_per_store, f"{row.node_tb:.2f} TB",
            *(f"{hours:.1f} h" for hours in row.refill_h.values()),
        )  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def chart(rows: list[Row]) -> str:
    """Return an SVG of two panels over the number of nodes."""
    size = 'width="820" height="330" font-family="sans-serif" font-size="12"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size}>']
    parts.append('<rect width="820" height="330" fill="white"/>')
    parts += _panel("TB on each node, of 10 TB of pictures", lambda r: r.node_tb, 11.0, 60, rows)
    parts += _panel("copies sent for each store", lambda r: r.copies_per_store, 270.0, 470, rows)
    for number, (replicas, name) in enumerate(NAMES.items()):
        x = 60 + number * 180
        parts.append(
            f'<rect x="{x}" y="306" width="12" height="12" fill="{COLOURS[replicas]}"/>'
            f'<text x="{x + 18}" y="316">{name}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def _panel(
    title: str, value: Callable[[Row], float], most: float, left: int, rows: list[Row]
) -> list[str]:
    width, top, bottom = 310, 40, 270
    parts = [f'<text x="{left}" y="24" font-weight="bold">{title}</text>']
    parts.append(f'<path d="M{left},{top} V{bottom} H{left + width}" stroke="black" fill="none"/>')
    places = [left + number * width / (len(SIZES) - 1) for number in range(len(SIZES))]
    for x, size in zip(places, SIZES, strict=True):
        parts.append(f'<text x="{x:.0f}" y="{bottom + 18}" text-anchor="middle">{size}</text>')
    for replicas, colour in COLOURS.items():
        values = [value(row) for row in rows if row.replicas == replicas]
        heights = [bottom - each / most * (bottom - top) for each in values]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(places, heights, strict=True))
        parts.append(
            f'<polyline points="{points}" stroke="{colour}" stroke-width="2" fill="none"/>'
        )
        parts.append(
            f'<text x="{places[-1] - 4:.0f}" y="{heights[-1] - 6:.0f}" text-anchor="end" '
            f'fill="{colour}">{values[-1]:.3g}</text>'
        )
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=PICTURES)
    parser.add_argument("--chart", type=Path, default=Path("docs/scaling.svg"))
    arguments = parser.parse_args()
    keys = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(arguments.pictures)]
    rows = [row for count in SIZES for row in simulate(count, keys)]
    arguments.chart.write_text(chart(rows))
    print(table(rows))
    print(f"\n{feeds_table([follow(nodes) for nodes in FEED_SIZES])}")


if __name__ == "__main__":
    main()
