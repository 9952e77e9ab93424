"""How often an address may be wrong about a token before it has to wait."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

MOST = 10
EVERY_S = 6.0  # after so long one more may be wrong
MOST_ADDRESSES = 10_000
SITE_BITS = 64  # of an IPv6 address: who has one has them all


class Attempts:
    """Counts failed log-ins by address: MOST at once, then one every EVERY_S; for any number of threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._mutex = threading.Lock()
        self._failed: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Return for how many seconds the address has to wait, 0.0 where it may try."""
        with self._mutex:
            return max(0.0, (self._level(_site(address)) - MOST + 1) * EVERY_S)

    def failed(self, address: str) -> None:
        """Take a failure down."""
        site = _site(address)
        with self._mutex:
            self._failed[site] = self._level(site) + 1, self._clock()
            self._failed.move_to_end(site)
            if len(self._failed) > MOST_ADDRESSES:
                self._failed.popitem(last=False)

    def _level(self, site: str) -> float:
        """Return how many failures still count."""
        level, at = self._failed.get(site, (0.0, 0.0))
        return max(0.0, level - (self._clock() - at) / EVERY_S)


def _site(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, SITE_BITS), strict=False))
