"""The network between the nodes as the kernel makes it: a namespace each, and a router that drops.

A cut here is what a broken switch does: packets vanish, connections hang.  It needs root's rights;
tests/cluster/links.py does the same with relays for tests that anyone may run.
"""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterable, Sequence

PORT = 5000
ROUTER = "net"


class Namespaces:
    """A namespace for each name and one for the router; a context manager.

    The tests' own process is on the router's far side and reaches every node, also during a cut.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._prefix = f"ic{os.getpid()}"
        self._net = f"10.{100 + os.getpid() % 100}"
        self._cut: list[tuple[str, str]] = []
        self.hosts = {name: f"{self._net}.{number}.2" for number, name in enumerate(names)}
        self.gateway = f"{self._net}.255.2"
        self.outside = f"{self._net}.255.1"
        self.network = f"{self._net}.0.0/16"
        self.urls = {
            (source, target): f"http://{self.hosts[target]}:{PORT}"
            for source, target in itertools.permutations(names, 2)
        }

    def __enter__(self) -> Namespaces:
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in (ROUTER, *self._names):
            subprocess.run(["ip", "netns", "del", self._space(name)], capture_output=True)

    def inside(self, name: str) -> list[str]:
        """Return what a command begins with that is to run on the host `name`."""
        return ["ip", "netns", "exec", self._space(name)]

    def cut(self, one_side: Iterable[str], other_side: Iterable[str]) -> None:
        """Drop every packet between the two sides, in either direction, from now on."""
        pairs = [(self.hosts[a], self.hosts[b]) for a in one_side for b in list(other_side)]
        for source, target in pairs + [(b, a) for a, b in pairs]:
            self._router("rule", "add", "from", source, "to", target, "blackhole")
            self._cut.append((source, target))

    def heal(self) -> None:
        """Pass everything again; connections that hung go on."""
        while self._cut:
            source, target = self._cut.pop()
            self._router("rule", "del", "from", source, "to", target, "blackhole")

    def _make(self) -> None:
        for name in (ROUTER, *self._names):
            _ip("netns", "add", self._space(name))
            _ip("-n", self._space(name), "link", "set", "lo", "up")
        self._wire(f"{self._prefix}x", "outside", self.outside, self.gateway)
        _ip("route", "add", self.network, "via", self.gateway)
        for number, name in enumerate(self._names):
            gateway = f"{self._net}.{number}.1"
            self._wire("eth0", name, self.hosts[name], gateway, self._space(name))
            _ip("-n", self._space(name), "route", "add", "default", "via", gateway)
        forward = "echo 1 >/proc/sys/net/ipv4/ip_forward"
        subprocess.run([*self.inside(ROUTER), "sh", "-c", forward], check=True)

    def _wire(self, device: str, name: str, address: str, gateway: str, space: str = "") -> None:
        """Lay a cable from `device` in `space` (empty: our own) to the router's port `name`."""
        ends = ["name", device, "type", "veth", "peer", "name", name]
        _ip(
            "link", "add", *(["netns", space] if space else []), *ends, "netns", self._space(ROUTER)
        )
        here = ["-n", space] if space else []
        _ip(*here, "addr", "add", f"{address}/30", "dev", device)
        _ip(*here, "link", "set", device, "up")
        self._router("addr", "add", f"{gateway}/30", "dev", name)
        self._router("link", "set", name, "up")

    def _space(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    def _router(self, *words: str) -> None:
        _ip("-n", self._space(ROUTER), *words)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
