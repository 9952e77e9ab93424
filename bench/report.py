"""The tables on stdout and the JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.systems import BARE, CACHE, CLOUD

PERCENTILES = {"p50": "p50_ms", "p99": "p99_ms", "p99.9": "p999_ms"}
SIZES = {"new": "new thumbnail", "second": "second size", "third": "third size"}
Figures = Mapping[str, float]

MEASURED_ONCE = {"webp": "imgproxy 38/s, weserv 57/s", "avif": "imgproxy 44/s, thumbor 11/s"}
"""On two cores like these, 400 px of 1.5 megapixels at quality 80, when we made 44 WebPs a second; not run here."""


def say(text: str) -> None:
    """Tell what is being done, beside the tables."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def table(result: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the tables, Markdown: ratios first, then what they are made of."""
    yield f"{result['date']}, `{result['command']}`, {result['machine']}\n"
    yield "| | Image Cloud | ours / theirs, medians of the rounds' ratios |\n|---|---|---|"
    for title, ours, beside in rows(result):
        yield f"| {title} | {ours} | {beside} |"
    yield from _made(result)
    yield from _further(result)


def rows(result: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield what was measured, Image Cloud's figure, and its ratio to each peer's."""
    for kind, measured in result["made"].items():
        for size, title in SIZES.items():
            if len(measured) > 1 and size in measured[CLOUD]:
                yield _row(f"{title}, {kind}", measured, size)
    for format, measured in result["formats"].items():
        title, ours, beside = _row(f"new {format}, 400 px", measured, format)
        yield title, ours, f"{beside}; measured once: {MEASURED_ONCE[format]}"
    for name, one in result["stored"].items():
        if name.startswith(CLOUD):
            title = f"stored{name.removeprefix(CLOUD)}".replace(":", "", 1)
            yield title, f"{one['per_s']:,.0f}/s", _stored_beside(result["stored"], name)
    one = result["original"][CLOUD]
    yield "original", f"{one['per_s']:,.0f}/s", f"{BARE} {one['ratio']:.2f}"
    for number, ours in enumerate(result["slow"][CLOUD]):
        yield _slow_row(ours, {n: rows[number] for n, rows in result["slow"].items() if n != CLOUD})
    for which, key in (("at rest", "rest_mb"), ("most, 8 pictures of 50 MP at once", "peak_mb")):
        ours_mb = result["memory"][CLOUD][key]
        others = {n: ours_mb / one[key] for n, one in result["memory"].items() if n != CLOUD}
        yield f"memory {which}", f"{ours_mb:.0f} MB", _listed(others)


def _row(
    title: str, measured: Mapping[str, Mapping[str, Figures]], size: str
) -> tuple[str, str, str]:
    ours = measured[CLOUD][size]
    others = {
        n: sizes[size]["ours"] for n, sizes in measured.items() if n != CLOUD and size in sizes
    }
    return title, f"{ours['per_s']:.0f}/s", _listed(others)


def _slow_row(ours: Figures, others: Mapping[str, Figures]) -> tuple[str, str, str]:
    """Return good answers a second, and the longest waits; of the peers as they are."""

    def text(one: Figures) -> str:
        lost = one["refused"] + one["failed"]
        return f"{one['good_per_s']:.0f}/s, p99 {one['p99_s']:.1f} s, {lost:.0f} refused or failed"

    best = f"at best {ours['best_per_s']:.0f}/s, p99 {ours['best_p99_s']:.1f} s"
    hits = f"; hits beside p99 {ours['hit_p99_ms']:.0f} ms"
    beside = "; ".join([best, *(f"{name} {text(one)}" for name, one in others.items())])
    return f"slow shops, {ours['clients']:.0f} clients", text(ours) + hits, beside


def _stored_beside(stored: Mapping[str, Figures], name: str) -> str:
    """Return the ratio to bare nginx, and those of the same thumbnail to the peers' stored ones."""
    ours = stored[name]
    others = {BARE: ours["ratio"]}
    if name == f"{CLOUD}: thumbnail":
        others |= {
            peer: ours["per_s"] / one["per_s"]
            for peer, one in stored.items()
            if not peer.startswith(CLOUD) and peer != BARE
        }
    return _listed(others)


def _listed(ratios: Mapping[str, float]) -> str:
    return "; ".join(f"{name} {value:.2f}" for name, value in ratios.items())


def _made(result: dict[str, Any]) -> Iterator[str]:
    for kind, systems in (result["made"] | result["formats"]).items():
        yield f"\n| {kind} | images/s | CPU ms | PSNR dB | bytes |\n|---|---|---|---|---|"
        for name, sizes in systems.items():
            for size, one in sizes.items():
                quality = f"{one['psnr_db']:.1f} | {one['bytes']:,.0f}" if "psnr_db" in one else "|"
                yield f"| {name}, {size} | {one['per_s']:.0f} | {one['cpu_ms']:.1f} | {quality} |"


def _further(result: dict[str, Any]) -> Iterator[str]:
    yield "\n| CPU ms of a new thumbnail | |\n|---|---|"
    yield from (f"| {name} | {value:.2f} |" for name, value in result["hops"].items())
    late = result["latency"]
    times = ", ".join(f"{name} {late[key]:.1f}" for name, key in PERCENTILES.items())
    yield f"\nlatency at {late['per_s']:,.0f}/s (70 %): {times} ms"
    mixed = result["mixed"]
    yield (
        f"mixed load: hits {mixed['mixed_per_s']:,.0f}/s of {mixed['alone_per_s']:,.0f}/s alone "
        f"({mixed['ratio']:.2f}), "
        f"p99 {mixed['mixed_p99_ms']:.1f} ms (alone {mixed['alone_p99_ms']:.1f}), {mixed['new']} new ones"
    )
    grown = result["growth"]
    few, many = (f"{grown[n]:,} variants {grown[f'{n}_per_s']:,.0f}/s" for n in ("few", "many"))
    yield f"growth: {many}, {few} ({grown['ratio']:.2f})"
    yield "memory after all this, MB: " + ", ".join(
        f"{name} {value:.0f}" for name, value in result["memory_mb"].items()
    )


def write(result: dict[str, Any], folder: Path) -> None:
    """Write bench.json and, with the bench's own matplotlib, bench.png and bench.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "bench.json"
    data.write_text(json.dumps(result, indent=1) + "\n")
    script = Path(__file__).with_name("chart.py")
    subprocess.run([CACHE / "venv/bin/python", script, data], check=True)
