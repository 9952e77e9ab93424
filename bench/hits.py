"""Stored thumbnails beside a bare nginx that sends the same files: rate, and CPU of nginx for each request.

.venv/bin/python -m bench.hits [--rounds 8] [--seconds 2]
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench import procs, systems
from bench.load import in_order, pull, wrk
from bench.stored import Asked
from image_cloud.picture.key import fan_out, key_of
from tests.frontdoor.client import jpeg
from tests.stack.running import Stack

PICTURES = 300
BARE = "bare nginx"


def make_pictures(folder: Path) -> list[str]:
    """Write the pictures that are asked for; return their names."""
    names = [f"{number:03d}.jpg" for number in range(PICTURES)]
    for seed, name in enumerate(names):
        (folder / name).write_bytes(jpeg(320, 240, seed=seed))
    return names


def store(stack: Stack, origin: str, names: Sequence[str], folder: Path) -> dict[str, Asked]:
    """Have thumbnails made, copy them into `folder`, and return how each system is asked for them."""
    token, headers = stack.token, (f"X-Image-Cloud-Token: {stack.token}",)
    urls = [f"{origin}/{name}" for name in names]
    ours = [f"{stack.url}/get_thumbnail?size=200&url={url}" for url in urls]
    pull(ours, headers)
    (folder / "stored").mkdir()
    for name, key in zip(names, map(key_of, urls), strict=True):
        variant = stack.home / f"storage/variants/{fan_out(key)}/{key}/200x200-fit-q85.jpg"
        shutil.copyfile(variant, folder / "stored" / name)
    return {
        BARE: Asked([f"{origin}/stored/{name}" for name in names]),
        "X-Image-Cloud-Token": Asked(ours, headers),
        "Authorization: Bearer": Asked(ours, (f"Authorization: Bearer {token}",)),
        "?token=": Asked([f"{address}&token={token}" for address in ours]),
    }


@contextmanager
def started() -> Iterator[tuple[dict[str, Asked], dict[str, list[int]]]]:
    """Give what is asked for, and the processes of nginx that answer."""
    with tempfile.TemporaryDirectory(prefix="ic-bench-") as name:
        work = Path(name)
        work.chmod(0o755)
        folder = work / "pictures"
        folder.mkdir()
        names = make_pictures(folder)
        with (
            systems.files(folder, work) as (origin, pid),
            systems.cloud(work / "home") as (_, stack),
        ):
            asked = store(stack, origin, names, folder)
            own = procs.family(stack.pid("nginx"))
            yield asked, {one: procs.family(pid) if one == BARE else own for one in asked}


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.hits")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    rates: dict[str, list[float]] = {}
    cpu_us: dict[str, list[float]] = {}
    with started() as (asked, pids):
        for number in range(-1, arguments.rounds):  # the first round warms up
            for name in in_order(list(asked), max(number, 0)):
                before = procs.cpu_s(pids[name])
                seen = wrk(asked[name].addresses, asked[name].headers, arguments.seconds)
                spent = (procs.cpu_s(pids[name]) - before) / seen["requests"] * 1e6
                if number >= 0:
                    rates.setdefault(name, []).append(seen["per_s"])
                    cpu_us.setdefault(name, []).append(spent)
    print(
        "| | requests/s | of bare nginx's | CPU of nginx, us | of bare nginx's |\n|---|---|---|---|---|"
    )
    for name in rates:
        print(f"| {name} | {_row(rates, name, '.0f')} | {_row(cpu_us, name, '.1f')} |")


def _row(values: dict[str, list[float]], name: str, form: str) -> str:
    ratios = [one / other for one, other in zip(values[name], values[BARE], strict=True)]
    return f"{statistics.median(values[name]):{form}} | {statistics.median(ratios):.2f}"


if __name__ == "__main__":
    main()
