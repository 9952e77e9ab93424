"""How fast nodes clone: from one node to three, and from three to an empty one.

    .venv/bin/python -m bench.cloning [--pictures 2000] [--bytes 150000] [--against CHECKOUT]

Starts four real nodes on this machine and imports the pictures at ic00.  A copy counts as made when its row
is committed; the time goes from a node's first transaction to its last, and what the first one brought is not
counted: take more pictures than one commits (image_cloud/bulk/group.py).  With --against the build of that
checkout takes turns with this one.  Beside it, `tar | tar` writes the same files with the same flushes.
Nothing is deleted before the end: ext4 without a journal passes over the inodes of the last minute's deletes, one
by one, and would charge whoever comes next for them.
"""

from __future__ import annotations

import argparse
import configparser
import contextlib
import io
import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import new_files
from bench.load import in_order
from image_cloud.bulk.group import MOST_FILES
from tests.cluster.nodes import HOSTS, NAMES, Nodes
from tests.frontdoor.client import jpeg
from tests.stack.running import CHECKOUT

DEADLINE_S = 1200.0
ROWS = """
    with first as (select xmin as transaction from images order by changed_at limit 1)
    select coalesce(extract(epoch from min(changed_at)), 0), coalesce(extract(epoch from max(changed_at)), 0),
           count(*), count(*) filter (where xmin = (select transaction from first))
    from images where deleted_at is null
"""
TAR_RECORD = 10240


class Direct:
    """A network without relays: they would take part of the processor."""

    def __init__(self, port: int) -> None:
        self.urls = {
            (one, other): f"http://{HOSTS[other]}:{port}" for one in NAMES for other in NAMES
        }

    def __enter__(self) -> Direct:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Build(Nodes):
    """Four nodes of one checkout, of any age: only its own ini and commands are used."""

    def __init__(self, root: Path, checkout: Path) -> None:
        super().__init__(root, {"janitor.audit_bytes_per_second": "0 B"}, checkout=checkout)
        self.links = Direct(self.port)  # type: ignore[assignment]

    def write_ini(self, name: str, **_settings: str) -> None:
        ini = configparser.ConfigParser(interpolation=None)
        ini.read(self.checkout / "image_cloud.ini")
        for option, value in self.options(name).items():
            section, _, key = option.partition(".")
            ini.set(section, key, value)
        text = io.StringIO()
        ini.write(text)
        (self[name].home / "image_cloud.ini").write_text(text.getvalue())


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


def await_clones(nodes: Nodes, names: Sequence[str], count: int) -> tuple[int, float]:
    """Wait until each of `names` has `count` pictures; return how many came after the first, in which time."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        seen = [nodes[name].psql(ROWS).strip().split("|") for name in names]
        if all(int(have) >= count for _, _, have, _ in seen):
            began = min(float(first) for first, _, _, _ in seen)
            ended = max(float(last) for _, last, _, _ in seen)
            return sum(int(have) - int(at_first) for _, _, have, at_first in seen), ended - began
        if time.monotonic() > deadline:
            raise TimeoutError("the nodes do not catch up")
        time.sleep(1)


def report(what: str, copies: int, seconds: float, size: int) -> float:
    """Print one line of the table; return the rate."""
    rate = copies / max(seconds, 0.001)
    print(
        f"| {what} | {copies} | {seconds:.1f} s | {rate:.0f} | {rate * size / 1e6:.1f} |",
        flush=True,
    )
    return rate


def measure(
    build: str, checkout: Path, folder: Path, listed: Path, count: int, size: int
) -> tuple[float, float]:
    """Clone with one build, whose nodes live in `folder`; return the rates of both ways."""
    with Build(folder, checkout) as nodes:
        nodes.settle()
        with contextlib.ExitStack() as stopped:
            for name in NAMES[1:]:
                stopped.enter_context(nodes[name].without("image-cloud-peer-clone"))
            nodes["ic00"].cli("import", str(listed), timeout=DEADLINE_S)
        spread = await_clones(nodes, NAMES[1:], count)
        nodes["ic03"].kill()
        for lost in nodes["ic03"].data():
            lost.rename(folder / f"lost-{lost.name}")
        nodes.start("ic03")
        refill = await_clones(nodes, ("ic03",), count)
    return (
        report(f"one node to three{build}", *spread, size),
        report(f"three nodes to an empty one{build}", *refill, size),
    )


def tar(pictures: Path, target: Path, count: int, size: int) -> float:
    """Copy the pictures with tar, with two flushes where a node makes two; return the rate."""
    flush = f"sync -f {shlex.quote(tempfile.gettempdir())}"
    records = max(1, MOST_FILES * (size + 1024) // TAR_RECORD)
    taken = f"--checkpoint={records} --checkpoint-action=exec='{flush}; {flush}'"
    command = f"tar -C {pictures} -c . | tar -C {target} -x {taken} && {flush}"
    began = time.monotonic()
    subprocess.run(["sh", "-c", command], check=True)
    return report("tar to tar, the same flushes", count, time.monotonic() - began, size)


def builds(against: Path | None) -> Iterator[tuple[str, Path]]:
    yield ("", CHECKOUT)
    if against:
        yield (", the other build", against)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.cloning", description=__doc__)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--bytes", type=int, default=150_000)
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="the other build")
    parser.add_argument("--rounds", type=int, default=1, help="turns of each build")
    arguments = parser.parse_args()
    count, size = arguments.pictures, arguments.bytes
    with contextlib.ExitStack() as kept:

        def folder() -> Path:
            return Path(kept.enter_context(tempfile.TemporaryDirectory(prefix="ic-bench-")))

        pictures = folder()
        listed = make_pictures(pictures, count, size)
        new_files.await_usual(pictures)
        print("| | copies | time | images/s | MB/s |\n|---|---|---|---|---|")
        for number in range(arguments.rounds):
            for name, checkout in in_order(list(builds(arguments.against)), number):
                measure(name, checkout, folder(), listed, count, size)
            tar(pictures, folder(), count, size)


if __name__ == "__main__":
    main()
