"""The gate that every request to an origin goes through: polite to the domain, one slot at a time.

A redirect to another domain gives the slot of the first back before it takes one of the second, so at
every moment a download counts for the domain that it talks to, and nobody waits while holding a slot.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType

from image_cloud.errors import ImageCloudError
from image_cloud.picture.url import Url
from image_cloud.politeness.breaker import Domains
from image_cloud.politeness.crowd import Crowd
from image_cloud.politeness.limits import Domain, LimitsFile
from image_cloud.politeness.slots import Slot, Slots
from image_cloud.process.locks import Locks


class Gate:
    """Makes visits; one per process.

    A visit waits at most `patience_s` for a slot.
    """

    def __init__(
        self, limits: LimitsFile, slots: Slots, domains: Domains, crowd: Crowd, patience_s: float
    ) -> None:
        self.limits = limits
        self.slots = slots
        self.domains = domains
        self.patience_s = patience_s
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

    def __enter__(self) -> Visit:
        return self

    def enter(self, url: Url) -> None:
        """Go on to `url`, the first one or where a redirect leads.

        Raises OriginPaused, and Busy when no slot comes free in time.
        """
        domain = self._gate.limits.current().domain_of(url)
        if self._domain and domain.name == self._domain.name:
            return
        self._leave(self._gate.domains.succeeded)
        self._probe = self._gate.domains.admit(domain.name, urgent=self._urgent)
        if self._slot is None or self._slot.domain.slots != domain.slots:
            self._give_back()
            self._wait(domain)
        self._domain = domain

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
                self._leave(self._gate.domains.succeeded)
            elif isinstance(error, ImageCloudError):
                self._leave(lambda domain: self._gate.domains.failed(domain, error))
        finally:
            self._give_back()
            if self._probe:
                self._probe.close()

    def _leave(self, tell: Callable[[str], None]) -> None:
        if self._domain:
            tell(self._domain.name)
        if self._probe:
            self._probe.close()
        self._domain = self._probe = None

    def _give_back(self) -> None:
        if self._slot:
            self._slot.give_back()
        self._slot = None
