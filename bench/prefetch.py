"""URLs a second of prefetch beside img2dataset and others, in turns, and where the CPU's time goes.

python -m bench.prefetch [URLS [ROUNDS]]

50 shops, each of which takes 200 ms over each answer; without thumbnails, and with one of each.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests

from bench import new_files, pictures, procs
from bench.shops import SHOPS, shops
from bench.systems import CACHE
from tests.stack.running import CHECKOUT, Stack

DELAY_S, SIDE = 0.2, 200
CLOUD = "Image Cloud"
RIVALS = {
    "img2dataset": "img2dataset",
    "requests": "requests, 64 threads",
    "aiohttp": "aiohttp, 400 connections",
}
PROGRAMS = (
    "image-cloud-prefetch", "image-cloud-control", "image-cloud-decoder", "image-cloud-janitor",
    "image-cloud-front", "nginx", "postgres",
)  # fmt: skip
SETTINGS = "download.allow_networks=127.0.0.0/8"


@dataclasses.dataclass
class Measured:
    """The runs of one system: URLs a second, and milliseconds of CPU per URL."""

    rates: list[float] = dataclasses.field(default_factory=list)
    cpu_ms: list[float] = dataclasses.field(default_factory=list)


class Cloud:
    """A stack that works lists of URLs off."""

    def __init__(self, stack: Stack) -> None:
        self.pids = {name: stack.pid(name) for name in PROGRAMS}
        self.used_s = dict.fromkeys(self.pids, 0.0)
        self._address = f"{stack.url}/fire_and_forget"
        self._session = requests.Session()
        self._session.headers["X-Image-Cloud-Token"] = stack.token

    def work_off(self, urls: list[str], side: int) -> None:
        """Hand `urls` over and wait until all are done."""
        before = self._cpu_s()
        batch = self.post(urls, thumbnails=[side] if side else [])
        while (state := self._progress(batch))["waiting"]:
            time.sleep(0.1)
        assert state["done"] == len(urls), state
        self.used_s = {name: used - before[name] for name, used in self._cpu_s().items()}

    def post(self, urls: list[str], **more: object) -> str:
        """Hand `urls` over; return the batch."""
        body = json.dumps({"urls": urls, **more}).encode()
        answer = self._session.post(self._address, data=body, timeout=120)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["batch"])

    def memory(self) -> None:
        """Print what daemon and intake hold while 100,000 URLs of shops that do not exist wait."""
        self.post([f"http://shop{n % 5000}.invalid/{n}.jpg" for n in range(100_000)])
        for name in ("image-cloud-prefetch", "image-cloud-control"):
            megabytes = procs.memory_mb(procs.family(self.pids[name]))
            print(f"{name}: {megabytes:.0f} MB with 100,000 URLs waiting")

    def _progress(self, batch: str) -> dict[str, int]:
        answer = self._session.get(self._address, params={"batch": batch}, timeout=30)
        state: dict[str, int] = answer.json()
        return state

    def _cpu_s(self) -> dict[str, float]:
        return {name: procs.cpu_s(procs.family(pid)) for name, pid in self.pids.items()}


class Rival:
    """Another program that downloads lists of URLs; its files go to `folder`."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._kind = kind
        self._folder = folder
        self._runs = 0
        self.cpu_s = 0.0

    def work_off(self, urls: list[str], side: int) -> None:
        """Run it to its end."""
        self._runs += 1
        listed = self._folder / f"{self._kind}-{self._runs}.txt"
        listed.write_text("\n".join(urls))
        script = str(CHECKOUT / "bench/prefetch_rivals.py")
        target = str(self._folder / f"{self._kind}-{self._runs}")
        command = [
            str(CACHE / "venv/bin/python"),
            script,
            self._kind,
            str(listed),
            target,
            str(side),
        ]
        before = _children_cpu_s()
        subprocess.run(command, check=True, capture_output=True, timeout=600)
        self.cpu_s = _children_cpu_s() - before
        kept = sum(1 for _ in Path(target).rglob("*.jpg"))
        assert kept == len(urls), f"{self._kind} kept {kept} of {len(urls)}"


def is_here(kind: str) -> bool:
    """Say whether the bench's environment has a rival's package."""
    python = str(CACHE / "venv/bin/python")
    found = subprocess.run([python, "-c", f"import {kind}"], capture_output=True).returncode == 0
    if not found:
        print(f"{kind} is not installed: left out")
    return found


def _children_cpu_s() -> float:
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Comparison:
    """All systems in turns, with URLs that none had before."""

    def __init__(self, cloud: Cloud, folder: Path, addresses: list[str]) -> None:
        self._cloud = cloud
        self._rivals = {
            title: Rival(kind, folder) for kind, title in RIVALS.items() if is_here(kind)
        }
        self._addresses = addresses
        self._lists = 0

    def run(self, title: str, count: int, rounds: int, side: int) -> None:
        """Run `rounds`, and print a table: medians of rates and of ratios of each round."""
        found = {name: Measured() for name in (CLOUD, *self._rivals)}
        for _ in range(rounds):
            for name, one in found.items():
                self._measure(name, one, count, side)
        print(f"\n{title}, {count} URLs, {SHOPS} domains, {DELAY_S * 1000:.0f} ms\n")
        print("| system | URLs/s | ms of CPU per URL | ours / theirs |\n|---|---|---|---|")
        ours = found[CLOUD].rates
        for name, one in found.items():
            ratio = statistics.median(a / b for a, b in zip(ours, one.rates, strict=True))
            rate, cpu_ms = statistics.median(one.rates), statistics.median(one.cpu_ms)
            print(f"| {name} | {rate:.0f} | {cpu_ms:.2f} | {ratio:.2f} |")
        for name, used_s in sorted(self._cloud.used_s.items(), key=lambda pair: -pair[1]):
            print(f"  {name:22} {used_s * 1000 / count:5.2f} ms of CPU per URL")

    def _measure(self, name: str, into: Measured, count: int, side: int) -> None:
        urls, began = self._new_urls(count), time.monotonic()
        if name == CLOUD:
            self._cloud.work_off(urls, side)
            cpu_s = sum(self._cloud.used_s.values())
        else:
            self._rivals[name].work_off(urls, side)
            cpu_s = self._rivals[name].cpu_s
        into.rates.append(count / (time.monotonic() - began))
        into.cpu_ms.append(cpu_s * 1000 / count)

    def _new_urls(self, count: int) -> list[str]:
        self._lists += 1
        return [f"http://{self._addresses[n % SHOPS]}/{self._lists}-{n}.jpg" for n in range(count)]


def main() -> None:
    """Run it all."""
    # leaves nothing running
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit("ended"))
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    products = CACHE / "pictures-300"
    names, _ = pictures.make(products, 300, 0)
    picture = min((products / name for name in names), key=lambda path: path.stat().st_size)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        addresses, _ = stack.enter_context(shops(folder / "shops", picture.read_bytes(), DELAY_S))
        cloud = Cloud(stack.enter_context(Stack(folder / "home", settings=SETTINGS)))
        comparison = Comparison(cloud, folder, addresses)
        if len(sys.argv) == 1:
            new_files.await_usual(folder)
        comparison.run("originals", count, rounds, 0)
        comparison.run("a thumbnail of each", count, rounds, SIDE)
        cloud.memory()


if __name__ == "__main__":
    main()
