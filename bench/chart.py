"""Draw bench.json as bench.png and bench.svg; runs in the bench's own environment."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

OURS, OTHERS, INK = "#1f6f8b", "#b8c4c9", "#22313a"


def main() -> None:
    data = Path(sys.argv[1])
    result = json.loads(data.read_text())
    made = result["made"]
    panels = [
        ("Stored, requests/s", {name: one["per_s"] for name, one in result["stored"].items()})
    ]
    for kind, systems in made.items():
        for size in ("new", "second", "third"):
            values = {
                name: sizes[size]["per_s"] for name, sizes in systems.items() if size in sizes
            }
            if len(values) > 1:
                panels.append((f"{kind}: {size} size, images/s", values))
    plt.rcParams.update(
        {
            "font.size": 10,
            "text.color": INK,
            "axes.labelcolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
        }
    )
    rows = (len(panels) + 1) // 2
    figure, axes = plt.subplots(rows, 2, figsize=(12, 2.6 * rows), layout="constrained")
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (title, values) in zip(axes.flat, panels, strict=False):
        _bars(axis, title, values)
    figure.suptitle(
        f"Image Cloud beside its peers, one run on {result['machine']}, {result['date']}"
    )
    for kind in ("png", "svg"):
        figure.savefig(data.with_suffix(f".{kind}"), dpi=120)


def _bars(axis: Any, title: str, values: dict[str, float]) -> None:
    names = sorted(values, key=lambda name: values[name])
    bars = axis.barh(
        names,
        [values[name] for name in names],
        color=[OURS if n.startswith("Image Cloud") else OTHERS for n in names],
    )
    axis.bar_label(
        bars, [f"{values[name]:,.{0 if values[name] >= 20 else 1}f}" for name in names], padding=4
    )
    axis.set_title(title, loc="left", fontsize=11)
    axis.set_ylim(-0.6, max(len(names), 4) - 0.4)
    axis.set_xlim(0, max(values.values()) * 1.15)
    axis.xaxis.set_visible(False)
    axis.tick_params(left=False)
    for side in ("top", "right", "bottom", "left"):
        axis.spines[side].set_visible(False)


if __name__ == "__main__":
    main()
