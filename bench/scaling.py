"""Simulates clusters of 4 to 256 nodes: balance, share moved, clone traffic, time to refill a lost node.

    .venv/bin/python bench/scaling.py        # table on standard output, chart in docs/scaling.svg

The placement is the product's own (image_cloud/placement.py); only time and network are computed.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import hashlib
from pathlib import Path

from image_cloud.placement import Placement

SIZES = (4, 16, 64, 256)
PICTURES = 20_000
PICTURE_BYTES = 150_000
STORE_BYTES = 10 * 10**12  # of all pictures together, each counted once
LINKS = {"1 Gbit/s": 125e6, "10 Gbit/s": 1250e6}
USABLE = 0.8  # of a link: the rest is for clients
COLOURS = {"all": "#b03030", "3": "#2060a0", "2": "#30904a"}


@dataclasses.dataclass(frozen=True)
class Row:
    """One cluster: `replicas` 0 means a copy on every node."""

    nodes: int
    replicas: int
    fullest: float  # node with most pictures, relative to the mean
    joins: float  # share of all copies that a joining node moves
    leaves: float
    ideal: float  # the least that must move
    copies_per_store: int
    node_tb: float
    refill_h: dict[str, float]


def names(count: int) -> list[str]:
    return [f"ic{number:02d}" for number in range(count)]


def owners(key: str, nodes: list[str], replicas: int) -> tuple[str, ...]:
    return Placement(nodes[0], nodes[1:], replicas).owners(key)


def simulate(count: int, replicas: int, keys: list[str]) -> Row:
    nodes = names(count)
    before = Placement(nodes[0], nodes, replicas)
    more = Placement(nodes[0], [*nodes, f"ic{count:02d}"], replicas)
    fewer = Placement(nodes[0], nodes[:-1], replicas)
    held: collections.Counter[str] = collections.Counter()
    joined = left = copies = 0
    for key in keys:
        old = set(before.owners(key))
        held.update(old)
        copies += len(old)
        joined += len(set(more.owners(key)) - old)
        left += len(set(fewer.owners(key)) - old)
    real = replicas or count
    node_bytes = STORE_BYTES * real / count
    # A lost node's copies come from all that have them: its own link is the narrow place, unless only
    # so few others have them that theirs are.
    sources = min(count - 1, max(1, real - 1) * count)
    return Row(
        count,
        replicas,
        max(held.values()) / (copies / count),
        joined / copies,
        left / copies,
        real / (count + 1) / real if replicas else 1 / count,
        real - 1,
        node_bytes / 1e12,
        {
            name: node_bytes / (speed * USABLE * min(1, sources)) / 3600
            for name, speed in LINKS.items()
        },
    )


def table(rows: list[Row]) -> str:
    lines = [
        "| nodes | replicas | fullest node | moved when one joins (least possible) | moved when one leaves "
        "| copies sent per store | disk per node | refill at 1 Gbit/s | at 10 Gbit/s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        slow, fast = row.refill_h.values()
        lines.append(
            f"| {row.nodes} | {row.replicas or 'all'} | +{(row.fullest - 1) * 100:.1f} % "
            f"| {row.joins * 100:.1f} % ({row.ideal * 100:.1f} %) | {row.leaves * 100:.1f} % "
            f"| {row.copies_per_store} | {row.node_tb:.2f} TB | {slow:.1f} h | {fast:.1f} h |"
        )
    return "\n".join(lines)


def chart(rows: list[Row]) -> str:
    """Return an SVG of two panels: disk per node, and copies sent per store, over the nodes."""
    panels = [
        ("TB per node (10 TB of pictures)", lambda row: row.node_tb, 12.0, 30),
        ("copies sent per store", lambda row: float(row.copies_per_store), 260.0, 430),
    ]
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="820" height="330" font-family="sans-serif" font-size="12">'
    ]
    parts.append('<rect width="820" height="330" fill="white"/>')
    for title, value, most, left in panels:
        parts += _panel(title, value, most, left + 30, rows)
    for number, (name, colour) in enumerate(COLOURS.items()):
        text = "a copy on every node" if name == "all" else f"{name} replicas"
        x = 60 + number * 180
        parts.append(f'<rect x="{x}" y="306" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{x + 18}" y="316">{text}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(title: str, value, most: float, left: int, rows: list[Row]) -> list[str]:  # type: ignore[no-untyped-def]
    width, top, bottom = 310, 40, 270
    step = width / (len(SIZES) - 1)
    parts = [f'<text x="{left}" y="24" font-weight="bold">{title}</text>']
    parts.append(f'<path d="M{left},{top} V{bottom} H{left + width}" stroke="black" fill="none"/>')
    for number, size in enumerate(SIZES):
        x = left + number * step
        parts.append(f'<text x="{x:.0f}" y="{bottom + 18}" text-anchor="middle">{size}</text>')
    for name, colour in COLOURS.items():
        replicas = 0 if name == "all" else int(name)
        points = []
        for number, size in enumerate(SIZES):
            row = next(row for row in rows if (row.nodes, row.replicas) == (size, replicas))
            x, y = left + number * step, bottom - value(row) / most * (bottom - top)
            points.append(f"{x:.1f},{y:.1f}")
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
            if number == len(SIZES) - 1:
                parts.append(
                    f'<text x="{x - 4:.0f}" y="{y - 7:.0f}" text-anchor="end">{value(row):.2g}</text>'
                )
        parts.append(
            f'<polyline points="{" ".join(points)}" stroke="{colour}" stroke-width="2" fill="none"/>'
        )
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=PICTURES)
    parser.add_argument("--chart", type=Path, default=Path("docs/scaling.svg"))
    arguments = parser.parse_args()
    keys = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(arguments.pictures)]
    # A copy everywhere needs no draw, and 256 nodes are 256 draws a picture: fewer pictures will do.
    rows = [simulate(count, r, keys[: max(2000, len(keys) * 16 // max(count, 16))] if r else keys[:100])
            for r in (0, 3, 2) for count in SIZES]  # fmt: skip
    arguments.chart.write_text(chart(rows))
    print(table(rows))


if __name__ == "__main__":
    main()
