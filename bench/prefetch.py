"""URLs a second end to end: a stack, an nginx that is 50 shops, and where the CPU's time went.

python -m bench.prefetch [URLS]
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import requests

from tests.frontdoor.client import jpeg
from tests.stack.running import Stack, free_port

SHOPS = 50
TICKS = os.sysconf("SC_CLK_TCK")
PROGRAMS = (
    "image-cloud-prefetch",
    "image-cloud-control",
    "image-cloud-decoder",
    "postgres",
    "image-cloud-janitor",
)
NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 100000;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{ {listen} root {folder}; location / {{ default_type image/jpeg; try_files /a.jpg =404; }} }}
}}
"""


@contextlib.contextmanager
def shops(folder: Path) -> Iterator[tuple[list[str], int]]:
    """Run an nginx on 127.0.2.1 and so on; give the shops' addresses and its process id."""
    port = free_port()
    hosts = [f"127.0.2.{number}:{port}" for number in range(1, SHOPS + 1)]
    (folder / "a.jpg").write_bytes(jpeg(400, 400))
    folder.chmod(0o755)
    (folder / "conf").write_text(
        NGINX.format(folder=folder, listen=" ".join(f"listen {h};" for h in hosts))
    )
    process = subprocess.Popen(["/usr/sbin/nginx", "-e", "stderr", "-c", str(folder / "conf")])
    try:
        yield hosts, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process and its children, living ones and those that ended."""
    with contextlib.suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return sum(map(int, fields[11:15])) / TICKS + sum(cpu_s(int(child)) for child in children)
    return 0.0


def rss_mb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS"))


class Run:
    """One stack that is measured."""

    def __init__(self, stack: Stack, hosts: list[str], shops_pid: int) -> None:
        self.stack = stack
        self.hosts = hosts
        self.pids = {name: stack.pid(name) for name in PROGRAMS} | {"the shops' nginx": shops_pid}

    def post(self, urls: list[str], **more: object) -> str:
        body = json.dumps({"urls": urls, **more}).encode()
        began = time.monotonic()
        answer = requests.post(
            f"{self.stack.url}/fire_and_forget", data=body, headers=self.headers(), timeout=120
        )
        assert answer.status_code == 202, answer.text
        print(f"{len(urls)} URLs taken in {time.monotonic() - began:.2f} s")
        return str(answer.json()["batch"])

    def work_off(self, urls: list[str], **more: object) -> None:
        """Hand `urls` over, wait, print the rate and each part's CPU time per URL."""
        before = {name: cpu_s(pid) for name, pid in self.pids.items()}
        began = time.monotonic()
        batch = self.post(urls, **more)
        while (state := self.progress(batch))["waiting"]:
            time.sleep(0.2)
        took_s = time.monotonic() - began
        print(f"{state['done']} done, {state['failed']} failed: {len(urls) / took_s:.0f} URLs/s")
        used = {name: cpu_s(pid) - before[name] for name, pid in self.pids.items()}
        for name, seconds in sorted(used.items(), key=lambda pair: -pair[1]):
            share = seconds / sum(used.values())
            print(f"  {name:22} {share:5.0%}  {seconds * 1000 / len(urls):5.2f} ms CPU per URL")

    def progress(self, batch: str) -> dict[str, int]:
        answer = requests.get(
            f"{self.stack.url}/fire_and_forget",
            params={"batch": batch},
            headers=self.headers(),
            timeout=30,
        )
        state: dict[str, int] = answer.json()
        return state

    def headers(self) -> dict[str, str]:
        return {"X-Image-Cloud-Token": self.stack.token}

    def memory(self) -> None:
        """Print what daemon and control pool hold while 100,000 URLs of a shop that never answers wait."""
        self.post([f"http://shop{n % 5000}.invalid/{n}.jpg" for n in range(100_000)])
        for name in ("image-cloud-prefetch", "image-cloud-control"):
            pid = self.pids[name]
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            print(f"{name}: {sum(rss_mb(one) for one in [pid, *map(int, children)])} MB resident")


def main() -> None:
    """Run it all."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    settings = "download.allow_networks=127.0.0.0/8"
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        (folder / "shops").mkdir()
        hosts, pid = stack.enter_context(shops(folder / "shops"))
        run = Run(stack.enter_context(Stack(folder / "home", settings=settings)), hosts, pid)
        urls = [f"http://{hosts[n % SHOPS]}/{n}.jpg" for n in range(count)]
        print("originals:")
        run.work_off(urls)
        print("a thumbnail of each:")
        run.work_off(urls, thumbnails=[200])
        run.memory()


if __name__ == "__main__":
    main()
