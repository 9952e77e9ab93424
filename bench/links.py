"""What it costs nginx to follow no symbolic link: CPU of a request with and without `disable_symlinks`.

.venv/bin/python -m bench.links [--rounds 6] [--seconds 1]

The same files, four folders deep as variants are, by both ways in turns.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from bench import procs, systems
from bench.__main__ import workplace
from bench.load import in_order, wrk
from image_cloud.picture.key import fan_out, key_of
from tests.frontdoor.client import jpeg
from tests.stack.running import free_port

PICTURES = 300
WAYS = {"as they are": "", "disable_symlinks": "disable_symlinks on from={folder};"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.links")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=1.0)
    arguments = parser.parse_args()
    spent: dict[str, list[float]] = {way: [] for way in WAYS}
    with workplace() as work:
        names, ports = _pictures(work / "files"), {way: free_port() for way in WAYS}
        conf = systems.nginx_conf(work / "nginx", _servers(work / "files", ports))
        command = [systems.NGINX, "-c", str(conf), "-e", "stderr"]
        with procs.started(command, next(iter(ports.values())), work / "nginx/log") as pid:
            for number in range(arguments.rounds):
                for way in in_order(list(WAYS), number):
                    addresses = [f"http://127.0.0.1:{ports[way]}/{name}" for name in names]
                    spent[way].append(_us(addresses, pid, arguments.seconds))
    print("| | CPU of nginx, us | more |\n|---|---|---|")
    for way, ones in spent.items():
        more = (one - plain for one, plain in zip(ones, spent["as they are"], strict=True))
        print(f"| {way} | {statistics.median(ones):.1f} | {statistics.median(more):.1f} |")


def _pictures(folder: Path) -> list[str]:
    content, names = jpeg(320, 240), []
    for number in range(PICTURES):
        key = key_of(str(number))
        names.append(f"variants/{fan_out(key)}/{key}/200x200-fit-q85.jpg")
        path = folder / names[-1]
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    return names


def _servers(folder: Path, ports: dict[str, int]) -> str:
    return "\n".join(
        f"server {{ listen 127.0.0.1:{ports[way]} backlog=4096; root {folder}; {more.format(folder=folder)} }}"
        for way, more in WAYS.items()
    )


def _us(addresses: list[str], pid: int, seconds: float) -> float:
    pids = procs.family(pid)
    before = procs.cpu_s(pids)
    requests = wrk(addresses, (), seconds)["requests"]
    return (procs.cpu_s(pids) - before) / requests * 1e6


if __name__ == "__main__":
    main()
