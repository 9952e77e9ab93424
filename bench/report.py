"""The table on stdout and the JSON."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.systems import CACHE

PERCENTILES = {"p50": "p50_ms", "p99": "p99_ms", "p99.9": "p999_ms"}


def table(result: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the table, Markdown."""
    yield f"{result['date']}, `{result['command']}`, {result['machine']}"
    yield "\n| stored | requests/s | of bare nginx |\n|---|---|---|"
    for name, one in result["stored"].items():
        yield f"| {name} | {one['per_s']:,.0f} | {one['ratio']:.2f} |"
    for name, one in result["original"].items():
        yield f"| original: {name} | {one['per_s']:,.0f} | {one['ratio']:.2f} |"
    for kind, systems in result["made"].items():
        yield f"\n| {kind} | images/s | of thumbor's | CPU ms | PSNR dB | bytes |\n|---|---|---|---|---|---|"
        for name, sizes in systems.items():
            for size, one in sizes.items():
                quality = f"{one['psnr_db']:.1f} | {one['bytes']:,.0f}" if "psnr_db" in one else "|"
                ratio = f"{one['of_thumbor']:.2f}" if "of_thumbor" in one else ""
                rate = f"{one['per_s']:.0f} | {ratio}"
                yield f"| {name}, {size} | {rate} | {one['cpu_ms']:.1f} | {quality} |"
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
    yield "memory, MB: " + ", ".join(
        f"{name} {value:.0f}" for name, value in result["memory_mb"].items()
    )


def write(result: dict[str, Any], folder: Path) -> None:
    """Write bench.json and, with the bench's own matplotlib, bench.png and bench.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "bench.json"
    data.write_text(json.dumps(result, indent=1) + "\n")
    script = Path(__file__).with_name("chart.py")
    subprocess.run([CACHE / "venv/bin/python", script, data], check=True)
