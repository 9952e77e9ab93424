"""The gate that every request to an origin goes through: polite to the domain, one slot at a time.

A redirect to another domain gives the slot of the first back before it takes one of the second, so at
every moment a download counts for the domain that it talks to, and nobody waits while holding a slot.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol

from image_cloud.errors import ImageCloudError, OriginFailed, OriginTimeout, UnusableImage
from image_cloud.picture.url import Url
from image_cloud.politeness.breaker import Domains
from image_cloud.politeness.crowd import Crowd
from image_cloud.politeness.limits import Domain, LimitsFile
from image_cloud.politeness.slots import Slot, Slots
from image_cloud.process.locks import Locks

# What an origin is to blame for: not that it has no such picture, or that we have no room.
FAILURES = (OriginFailed, OriginTimeout, UnusableImage)


class Count(Protocol):
    """Counts visits to domains."""

    def __call__(self, domain: str, latency_s: float, *, failed: bool) -> None:
        """Count one, how long it took, and whether it failed."""


class Gate:
    """Makes visits, and has them counted; one per process.

    A visit waits at most `patience_s` for a slot.
    """

    def __init__(
        self,
        limits: LimitsFile,
        slots: Slots,
        domains: Domains,
        crowd: Crowd,
        patience_s: float,
        count: Count,
    ) -> None:
        self.limits = limits
        self.slots = slots
        self.domains = domains
        self.patience_s = patience_s
        self.count = count
        self._crowd = crowd

    def place(self, url: Url) -> AbstractContextManager[None]:
        """Return the place of a visitor's request, to hold while it waits for whatever it may be.

        Raises Busy when it is entered, where the domain of `url` has too many.
        """
        return self._crowd.place(self.limits.current().domain_of(url).slots)

    def visit(self, held: Slot | None = None, *, urgent: bool) -> Visit:
        """Return the way through for one download: `urgent` ones get a slot before all others.

        `held` is a slot that was taken for it; the visit gives it back.
        """
        return Visit(self, held, urgent)


class Visit:
    """One download's way through; a context manager that learns from its end.

    Made by Gate.  Nothing is taken before `enter`; the end tells how the domain behaved and
    frees everything.
    """

    def __init__(self, gate: Gate, held: Slot | None, urgent: bool) -> None:
        self._gate = gate
        self._slot = held
        self._urgent = urgent
        self._domain: Domain | None = None
        self._probe: Locks | None = None
        self._began_s = 0.0

    def __enter__(self) -> Visit:
        return self

    def enter(self, url: Url) -> None:
        """Go on to `url`, the first one or where a redirect leads.

        Raises OriginPaused, and Busy when no slot comes free in time.
        """
        domain = self._gate.limits.current().domain_of(url)
        if self._domain and domain.name == self._domain.name:
            return
        self._succeeded()
        self._probe = self._gate.domains.admit(domain.name, urgent=self._urgent)
        if self._slot is None or self._slot.domain.slots != domain.slots:
            self._give_back()
            self._wait(domain)
        self._domain = domain
        self._began_s = time.monotonic()

    def _wait(self, domain: Domain) -> None:
        """Take a slot; the domain may have been paused while we waited."""
        self._slot = self._gate.slots.wait(domain, self._gate.patience_s, urgent=self._urgent)
        if self._probe is None:
            self._probe = self._gate.domains.admit(domain.name, urgent=self._urgent)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._succeeded()
            elif isinstance(error, ImageCloudError):
                self._failed(error)
        finally:
            self._give_back()
            if self._probe:
                self._probe.close()

    def _succeeded(self) -> None:
        if self._domain:
            self._gate.domains.succeeded(self._domain.name)
            self._count(failed=False)
        self._leave()

    def _failed(self, error: ImageCloudError) -> None:
        if self._domain:
            self._gate.domains.failed(self._domain.name, error)
            self._count(failed=isinstance(error, FAILURES))
        self._leave()

    def _count(self, *, failed: bool) -> None:
        if self._domain:
            self._gate.count(self._domain.name, time.monotonic() - self._began_s, failed=failed)

    def _leave(self) -> None:
        if self._probe:
            self._probe.close()
        self._domain = self._probe = None

    def _give_back(self) -> None:
        if self._slot:
            self._slot.give_back()
        self._slot = None
