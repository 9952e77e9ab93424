"""Stored thumbnails beside a bare nginx that sends the same files: rate, and CPU of nginx for each request.

.venv/bin/python -m bench.hits [--rounds 8] [--seconds 2] [--against CHECKOUT]

With --against another checkout's build takes turns as well; ratios are medians of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import procs, systems
from bench.load import in_order, pull, wrk
from bench.stored import Asked
from image_cloud.picture.key import fan_out, key_of
from tests.frontdoor.client import jpeg
from tests.stack.running import CHECKOUT, Stack

PICTURES = 300
BARE = systems.BARE
WAYS = ("X-Image-Cloud-Token", "Authorization: Bearer", "?token=")


def make_pictures(folder: Path) -> list[str]:
    """Write the pictures that are asked for; return their names."""
    names = [f"{number:03d}.jpg" for number in range(PICTURES)]
    for seed, name in enumerate(names):
        (folder / name).write_bytes(jpeg(320, 240, seed=seed))
    return names


def store(stack: Stack, urls: Sequence[str]) -> list[Asked]:
    """Have thumbnails made, and return how they are asked for in each of the WAYS."""
    token, headers = stack.token, (f"X-Image-Cloud-Token: {stack.token}",)
    ours = [f"{stack.url}/get_thumbnail?size=200&url={url}" for url in urls]
    pull(ours, headers)
    return [
        Asked(ours, headers),
        Asked(ours, (f"Authorization: Bearer {token}",)),
        Asked([f"{address}&token={token}" for address in ours]),
    ]


def copy(stack: Stack, urls: Sequence[str], names: Sequence[str], folder: Path) -> None:
    """Copy the stored thumbnails into `folder`, under the pictures' own names."""
    folder.mkdir()
    for name, key in zip(names, map(key_of, urls), strict=True):
        variant = stack.home / f"storage/variants/{fan_out(key)}/{key}/200x200-fit-q85.jpg"
        shutil.copyfile(variant, folder / name)


@dataclasses.dataclass(frozen=True)
class Case:
    """How pictures are asked for, and the processes of nginx that answer."""

    asked: Asked
    pids: list[int]


@contextmanager
def started(against: Path | None = None) -> Iterator[dict[str, Case]]:
    """Give all cases: a bare nginx, this build, and the other one."""
    with tempfile.TemporaryDirectory(prefix="ic-bench-") as name, ExitStack() as running:
        work = Path(name)
        work.chmod(0o755)
        folder = work / "pictures"
        folder.mkdir()
        names = make_pictures(folder)
        origin, pid = running.enter_context(systems.files(folder, work))
        urls = [f"{origin}/{name}" for name in names]
        stored = [f"{origin}/stored/{name}" for name in names]
        cases = {BARE: Case(Asked(stored), procs.family(pid))}
        builds = {"": CHECKOUT} | ({f", {systems.OTHER}": against} if against else {})
        for title, checkout in builds.items():
            home = work / f"home{len(cases)}"
            _, stack = running.enter_context(systems.cloud(home, checkout=checkout))
            own = procs.family(stack.pid("nginx"))
            for way, asked in zip(WAYS, store(stack, urls), strict=True):
                cases[f"{way}{title}"] = Case(asked, own)
            if not title:
                copy(stack, urls, names, folder / "stored")
        yield cases


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.hits")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--against", type=systems.checkout, metavar="CHECKOUT")
    arguments = parser.parse_args()
    rates: dict[str, list[float]] = {}
    cpu_us: dict[str, list[float]] = {}
    with started(arguments.against) as cases:
        for number in range(-1, arguments.rounds):  # the first round warms up
            for name in in_order(list(cases), max(number, 0)):
                asked, pids = cases[name].asked, cases[name].pids
                before = procs.cpu_s(pids)
                seen = wrk(asked.addresses, asked.headers, arguments.seconds)
                spent = (procs.cpu_s(pids) - before) / seen["requests"] * 1e6
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
