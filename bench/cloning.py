"""How fast nodes clone: from one node to three, and from three to an empty one.

    .venv/bin/python -m bench.cloning [--pictures 2000] [--bytes 150000]

Starts four real nodes on this machine with `make cluster` and imports the pictures at ic00.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from tests.cluster.nodes import NAMES, Nodes
from tests.frontdoor.client import jpeg

DEADLINE_S = 1200.0


def make_pictures(folder: Path, count: int, size: int) -> Path:
    """Write `count` JPEGs of about `size` bytes and the list that imports them."""
    start = jpeg(64, 48)
    lines = []
    for number in range(count):
        path = folder / f"{number}.jpg"
        filling = os.urandom(max(0, size - len(start) - 2)).replace(b"\xff", b"\xfe")
        # Behind the end marker: decoders stop before it, and it does not compress.
        path.write_bytes(start + filling + b"\xff\xd9")
        lines.append(f"http://bench.example/{number}.jpg\t{path}")
    (folder / "list").write_text("\n".join(lines) + "\n")
    return folder / "list"


def await_clones(nodes: Nodes, names: tuple[str, ...], count: int) -> float:
    """Wait until each of `names` has `count` pictures; return the seconds."""
    began = time.monotonic()
    while any(len(nodes[name].tables()) < count for name in names):
        if time.monotonic() - began > DEADLINE_S:
            raise TimeoutError("the nodes do not catch up")
        time.sleep(0.2)
    return time.monotonic() - began


def report(what: str, copies: int, size: int, seconds: float) -> None:
    rate = copies / seconds
    print(
        f"| {what} | {copies} | {seconds:.1f} s | {rate:.0f} | {rate * size / 1e6:.1f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--bytes", type=int, default=150_000)
    arguments = parser.parse_args()
    count, size = arguments.pictures, arguments.bytes
    with tempfile.TemporaryDirectory(prefix="ic-bench-") as folder:
        listed = make_pictures(Path(folder), count, size)
        with Nodes(Path(folder) / "n", {"janitor.audit_bytes_per_second": "0 B"}) as nodes:
            nodes.settle()
            for name in NAMES[1:]:
                nodes[name].supervisorctl("stop", "image-cloud-peer-clone")
            nodes["ic00"].cli("import", str(listed))
            for name in NAMES[1:]:
                nodes[name].supervisorctl("start", "image-cloud-peer-clone")
            print("| | copies | time | images/s | MB/s |\n|---|---|---|---|---|")
            report("one node to three", count * 3, size, await_clones(nodes, NAMES[1:], count))
            nodes["ic03"].kill()
            nodes["ic03"].wipe()
            nodes.start("ic03")
            report(
                "three nodes to an empty one", count, size, await_clones(nodes, ("ic03",), count)
            )


if __name__ == "__main__":
    main()
