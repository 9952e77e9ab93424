"""What the ini says about which URLs may be fetched; no name is resolved here."""

from __future__ import annotations

import functools

from image_cloud.config.sections import Download
from image_cloud.errors import UrlForbidden
from image_cloud.origin import addresses
from image_cloud.picture.url import Url, is_address

ADDRESSES = 4096  # of which is remembered whether they are allowed


class Policy:
    """Domains, ports and networks that may be fetched from.

    `sample_origin` is one ADDRESS:PORT allowed beside them.
    """

    def __init__(self, settings: Download) -> None:
        self._settings = settings
        address, _, port = settings.sample_origin.rpartition(":")
        self._sample = (address, int(port)) if address else None
        # Shops have few addresses, and each look at one compares it with every closed network.
        self._is_allowed = functools.lru_cache(ADDRESSES)(
            functools.partial(addresses.is_allowed, allow_networks=settings.allow_networks)
        )

    def check_url(self, url: Url) -> None:
        """Raise UrlForbidden where the host's name, port or literal address is excluded."""
        if (url.host, url.port) == self._sample:
            return
        self._check_domain(url.host)
        self._check_port(url.port)
        if is_address(url.host):
            self.check_addresses(url.host, url.port, [url.host])

    def check_addresses(self, host: str, port: int, found: list[str]) -> None:
        """Raise UrlForbidden unless all addresses that were `found` for `host` may be dialled."""
        for address in found:
            if (address, port) != self._sample and not self._is_allowed(address):
                raise UrlForbidden(f"url: {host} leads to an address that may not be fetched from")

    def _check_domain(self, host: str) -> None:
        allowed, denied = self._settings.allow_domains, self._settings.deny_domains
        if _covers(denied, host) or (allowed and not _covers(allowed, host)):
            raise UrlForbidden(f"url: the domain {host} is excluded by this service's settings")

    def _check_port(self, port: int) -> None:
        allowed, denied = self._settings.allow_ports, self._settings.deny_ports
        if port in denied or (allowed and port not in allowed):
            raise UrlForbidden(f"url: the port {port} is excluded by this service's settings")


def _covers(domains: tuple[str, ...], host: str) -> bool:
    return any(host == domain or host.endswith("." + domain) for domain in domains)
