"""What `top` prints: a table of nodes and the domains in trouble, as wide and high as the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from image_cloud.cli import domains
from image_cloud.pages.people import days, milliseconds, printable, size

BOLD, RED, PLAIN = "\x1b[1m", "\x1b[31m", "\x1b[0m"
START, AGAIN, END = "\x1b[?1049h\x1b[?25l", "\x1b[H\x1b[J", "\x1b[?25h\x1b[?1049l"
"""Another screen without a cursor; back to its top left corner, all gone; the screen from before."""

UNKNOWN = "-"
Facts = dict[str, Any]
Show = Callable[[Any], str]


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _count(value: float) -> str:
    return f"{value:,.0f}"


COLUMNS: tuple[tuple[str, str, Show], ...] = (
    ("req/s", "requests_per_s", _rate),
    ("hits", "hit_share", lambda value: f"{value:.1%}"),
    ("p50", "p50_s", milliseconds),
    ("p95", "p95_s", milliseconds),
    ("p99", "p99_s", milliseconds),
    ("5xx/s", "errors_5xx_per_s", _rate),
    ("fetching", "fetch_running", _count),
    ("decoding", "decoder_running", _count),
    ("waiting", "decoder_waiting", _count),
    ("prefetch", "prefetch_waiting", _count),
    ("to clone", "clone_backlog", _count),
    ("disk free", "disk_free_bytes", size),
    ("full in", "disk_days_left", days),
    ("memory", "memory_bytes", size),
)


def lines(seen: Facts, *, coloured: bool = False) -> Iterator[str]:
    """Yield what was read (image_cloud/cli/state/reading.py), a line at a time."""
    when = time.strftime("%H:%M:%S", time.localtime(seen["at"]))
    nodes = seen["nodes"]
    well = sum(node["state"] == "ok" for node in nodes)
    yield _in(BOLD, f"{when}  {well} of {len(nodes)} nodes are ok", coloured)
    yield ""
    yield from _table(nodes, coloured)
    remarks = [f"{node['name']}: {node['remark']}" for node in nodes if node["remark"]]
    if remarks:
        yield ""
        yield from (_in(RED, printable(one), coloured) for one in remarks)
    if seen["domains"]:
        yield ""
        yield _in(BOLD, "domains in trouble", coloured)
        yield from (printable(domains.line(one)) for one in seen["domains"])


def _table(nodes: list[Facts], coloured: bool) -> Iterator[str]:
    head = ["node", "state", *(title for title, _, _ in COLUMNS)]
    rows = [[printable(node["name"]), printable(node["state"]), *_cells(node)] for node in nodes]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    yield _in(BOLD, _aligned(head, widths), coloured)
    for node, row in zip(nodes, rows, strict=True):
        yield _in(RED if node["state"] != "ok" else "", _aligned(row, widths), coloured)


def _cells(node: Facts) -> Iterator[str]:
    for _, name, show in COLUMNS:
        yield UNKNOWN if node[name] is None else show(node[name])


def _aligned(cells: list[str], widths: list[int]) -> str:
    """Return names to the left, numbers to the right."""
    texts = [cell.ljust(width) for cell, width in zip(cells[:2], widths, strict=False)]
    numbers = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return "  ".join([*texts, *numbers])


def _in(style: str, text: str, coloured: bool) -> str:
    return f"{style}{text}{PLAIN}" if coloured and style else text


def fitted(found: list[str], columns: int, rows: int) -> list[str]:
    """Return what fits on a terminal; the last line says how many do not."""
    if len(found) > rows:
        found = [*found[: rows - 1], f"... {len(found) - rows + 1} more lines"]
    return [_cut(line, columns) for line in found]


def _cut(line: str, columns: int) -> str:
    styled = line.endswith(PLAIN)
    bare = line.removesuffix(PLAIN)
    style = bare[: bare.index("m") + 1] if styled else ""
    return style + bare[len(style) :][:columns] + (PLAIN if styled else "")
