"""What options of a GlusterFS mount cost and gain: one volume of three bricks, the same work on each mount.

.venv/bin/python -m bench.mounts [--files 200] [--bytes 150000]      (as root, with glusterfs-server)
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.shared_storage.mount import Mount
from tests.shared_storage.volume import NAME, Volume, why_not

AT_ONCE = ("--attribute-timeout=0", "--entry-timeout=0")
MOUNTS = {
    "the defaults": (),
    "attribute-timeout, entry-timeout 0": AT_ONCE,
    "negative-timeout 1": ("--negative-timeout=1",),
    "direct-io-mode on": ("--direct-io-mode=on",),
    "fopen-keep-cache": ("--fopen-keep-cache",),
    "use-readdirp no": ("--use-readdirp=no",),
}
INVALIDATION = {"features.cache-invalidation": "on", "performance.cache-invalidation": "on"}
INVALIDATED = {"cache-invalidation": (), "cache-invalidation, both timeouts 0": AT_ONCE}
COLUMNS = ("store", "read", "read again", "stat", "no such file", "list", "deleted, seen for")
GIVE_UP_S = 20.0


class Work:
    """Files of `size` bytes that one mount has and another looks at."""

    def __init__(self, mount: Mount, other: Mount, name: str, files: int, size: int) -> None:
        self._folder = mount.path / _path(name)
        self._elsewhere = other.path / self._folder.name
        self._elsewhere.mkdir()
        self._names = [f"{number:06d}.jpg" for number in range(files)]
        self._content = os.urandom(size)

    def milliseconds(self) -> list[float]:
        """Return the time of each column, most of them as the median."""
        names, there, again = self._names, self._folder, time.monotonic() + 1.5
        store = _median(self._store, [self._elsewhere / name for name in names])
        while time.monotonic() < again:  # what the kernel believes is old
            time.sleep(0.1)
        read, stat = (
            _median(_read, paths := [there / name for name in names]),
            _median(os.stat, paths),
        )
        missing = _median(_is_there, [there / f"no-{name}" for name in names])
        listed = _median(lambda path: list(os.scandir(path)), [there] * 5)
        return [store, read, _median(_read, paths), stat, missing, listed, self._seen_for()]

    def _store(self, path: Path) -> None:
        """Store a file as nodes do: whole or not at all, and durable."""
        with open(draft := path.with_suffix(".new"), "wb") as file:
            file.write(self._content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(draft, path)

    def _seen_for(self) -> float:
        """Return the longest time for which a file is there that was deleted on the other mount."""
        return max(self._seen_one(name) for name in self._names[:20])

    def _seen_one(self, name: str) -> float:
        os.stat(path := self._folder / name)
        (self._elsewhere / name).unlink()
        began = time.monotonic()
        while _is_there(path):
            assert time.monotonic() < began + GIVE_UP_S, "it is there for ever"
        return (time.monotonic() - began) * 1000


def _path(name: str) -> str:
    return name.replace(",", "").replace(" ", "_")


def _read(path: Path) -> None:
    path.read_bytes()


def _is_there(path: Path) -> bool:
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def _median(work: Callable[[Path], object], paths: Sequence[Path]) -> float:
    times = []
    for path in paths:
        began = time.perf_counter()
        work(path)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def main() -> int:
    """Print a table of milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--bytes", type=int, default=150_000)
    arguments = parser.parse_args()
    if reason := why_not():
        print(f"not on this machine: {reason}", file=sys.stderr)
        return 1
    print("| mount |", " | ".join(COLUMNS), "|\n|---|" + "---|" * len(COLUMNS))
    with Volume(options=dict.fromkeys(INVALIDATION, "off")) as volume:
        other = volume.mount("other")
        for name, options in MOUNTS.items():
            _row(volume, other, name, options, arguments)
        for option, value in INVALIDATION.items():
            volume.cli("volume", "set", NAME, option, value)
        for name, options in INVALIDATED.items():
            _row(volume, other, name, options, arguments)
    return 0


def _row(
    volume: Volume, other: Mount, name: str, options: Sequence[str], asked: argparse.Namespace
) -> None:
    mount = volume.mount(_path(name), *options)
    times = Work(mount, other, name, asked.files, asked.bytes).milliseconds()
    print(f"| {name} |", " | ".join(f"{time_ms:.2f} ms" for time_ms in times), "|", flush=True)
    mount.unmount()


if __name__ == "__main__":
    sys.exit(main())
