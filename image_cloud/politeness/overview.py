"""What people are told of domains, and how they lift a pause."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from image_cloud.errors import BadParameter
from image_cloud.picture.address import host as hosts
from image_cloud.picture.url import Url
from image_cloud.politeness.gate import Gate
from image_cloud.politeness.limits import Domain
from image_cloud.politeness.trouble import FAILING, Trouble
from image_cloud.request.parameter import Parameters, Pattern
from image_cloud.request.query import shown

MOST_LISTED = 1000
HEALTHY = "healthy"
FORM = "a host name, for an unusual port with /PORT, like shop.example/8080"


class DomainParameters(Parameters):
    """The parameter of GET /domains and of POST /domains/resume; the latter needs it."""

    def __init__(self, *, required: bool) -> None:
        meaning = "a host, or `HOST/PORT` for an unusual port; a sub-domain stands for its domain"
        self.domain = Pattern(
            name="domain", pattern=r".*", form=FORM, required=required, meaning=meaning
        )


class Overview:
    """The domains of this node as an operator sees them; `clock` gives seconds since 1970."""

    def __init__(self, gate: Gate, clock: Callable[[], float] = time.time) -> None:
        self._gate = gate
        self._clock = clock

    def all(self) -> list[dict[str, Any]]:
        """Return the troubled domains as JSON, at most MOST_LISTED, those that are asked last first."""
        return [self._described(self._limit(one.domain), one) for one in self.troubles()]

    def troubles(self) -> list[Trouble]:
        """Return what is known against domains, at most MOST_LISTED, those that are asked last first."""
        troubles = itertools.islice(self._gate.domains.troubles(), MOST_LISTED)
        return sorted(troubles, key=lambda one: (-one.until, one.domain))

    def limited(self) -> list[str]:
        """Return the domains that have an entry in the limits file."""
        return sorted(self._gate.limits.current().entries)

    def slots(self, name: str) -> tuple[int, int]:
        """Return how many downloads from a domain are under way, and how many may be."""
        domain = self._limit(name)
        return self._gate.slots.used(domain), domain.most

    def one(self, name: str) -> dict[str, Any]:
        """Return the domain that `name` counts for as JSON.  Raises BadParameter."""
        return self._looked_up(self._domain(name))

    def of(self, url: Url) -> dict[str, Any]:
        """Return the domain that a request to `url` counts for as JSON."""
        return self._looked_up(self._gate.limits.current().domain_of(url))

    def resume(self, name: str) -> dict[str, Any]:
        """Lift the pause of the domain that `name` counts for; return what became of it as JSON.

        Raises BadParameter.
        """
        domain = self._domain(name)
        resumed = self._gate.domains.resume(domain.name)
        return {"domain": domain.name, "resumed": resumed}

    def _looked_up(self, domain: Domain) -> dict[str, Any]:
        return self._described(domain, self._gate.domains.trouble(domain.name))

    def _domain(self, name: str) -> Domain:
        host, slash, port = name.strip().partition("/")
        try:
            entry = hosts.entry(host)
        except ValueError:
            raise BadParameter(f"domain: {shown(name)} is not {FORM}") from None
        if slash and not (port.isascii() and port.isdecimal() and 1 <= int(port[:6]) <= 65535):
            raise BadParameter(f"domain: {shown(name)} is not {FORM}")
        return self._limit(f"{entry}{slash}{port}")

    def _limit(self, name: str) -> Domain:
        return self._gate.limits.current().domain_named(name)

    def _described(self, domain: Domain, trouble: Trouble | None) -> dict[str, Any]:
        slots = {"used": self._gate.slots.used(domain), "allowed": domain.most}
        if trouble is None:
            return {"domain": domain.name, "state": HEALTHY, "slots": slots}
        state = trouble.state(self._clock())
        return {
            "domain": trouble.domain,
            "state": state,
            "since": _iso(trouble.since or trouble.changed),
            "next_try": None if state == FAILING else _iso(trouble.end()),
            "next_try_interactive": None if state == FAILING else _iso(trouble.end(urgent=True)),
            "why": {
                "code": trouble.code,
                "detail": trouble.detail,
                "upstream_status": trouble.upstream_status,
            },
            "failures": trouble.failures,
            "last_failure": _iso(trouble.changed),
            "slots": slots,
        }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
