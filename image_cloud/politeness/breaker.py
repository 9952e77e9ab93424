"""Politeness: which domains are paused and why, shared by all processes.

One small JSON file per troubled domain in `domains/` below the storage; a healthy domain has none.

- An origin that answers 429 or 503 with Retry-After is paused for that time.
- A domain that failed `failures` times without one success in between is paused, longer each time
  (a circuit breaker).  When the time is over one request at a time may try (half-open): its success
  closes the breaker, its failure opens it again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from image_cloud.config.sections import Politeness as Settings
from image_cloud.errors import (
    ImageCloudError,
    OriginDns,
    OriginFailed,
    OriginNotFound,
    OriginPaused,
    OriginRefused,
    OriginReset,
    OriginStatus,
    OriginTimeout,
    OriginTls,
    RobotsRefused,
    UnusableImage,
)
from image_cloud.process import json_file
from image_cloud.process.locks import BYTES_PER_NAME, LockFile, Locks, offset_of

log = logging.getLogger(__name__)

COUNTED = (OriginRefused, OriginReset, OriginDns, OriginTls, OriginTimeout)
ANSWERED = (
    OriginNotFound,
    OriginFailed,
    UnusableImage,
    RobotsRefused,
)  # it works, whatever it said
PROBE_RETRY_S = 2.0
FORGET_AFTER_S = 86400.0
_WRITING, _PROBING = BYTES_PER_NAME - 1, BYTES_PER_NAME - 2


@dataclasses.dataclass(frozen=True)
class Trouble:
    """What is known against a domain.

    It is paused `until` (seconds since 1970; 0: not yet).  `failures` came in a row, and the
    breaker opened `opened` times; with `opened` 0 a time in `until` is the origin's own wish.
    """

    domain: str
    until: float = 0.0
    failures: int = 0
    opened: int = 0
    code: str = ""
    detail: str = ""
    upstream_status: int | None = None
    changed: float = 0.0

    def state(self, now: float) -> str:
        """Return `paused` (the origin asked for it), `broken`, `half-open` or `failing`."""
        if self.opened:
            return "broken" if self.until > now else "half-open"
        return "paused" if self.until > now else "failing"


class Domains:
    """The troubled domains of the node.

    `folder` holds their files; `clock` gives seconds since 1970.
    """

    def __init__(
        self,
        folder: Path,
        lock_file: Path | LockFile,
        settings: Settings,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._folder = folder
        self._lock_file = lock_file
        self._settings = settings
        self._clock = clock
        self._jitter = jitter

    def trouble(self, domain: str) -> Trouble | None:
        """Return what is known against `domain`, None for a healthy one."""
        return json_file.read(self._path(domain), Trouble)

    def troubles(self) -> Iterator[Trouble]:
        """Yield every troubled domain, for people and metrics."""
        for path in sorted(self._folder.glob("*.json")):
            trouble = json_file.read(path, Trouble)
            if trouble:
                yield trouble

    def admit(self, domain: str) -> Locks | None:
        """Let a request to `domain` go on.

        Raises OriginPaused while the domain is paused.  For the one request that tries a
        half-open domain it returns a lock, to be closed after `succeeded` or `failed`.
        """
        trouble = self.trouble(domain)
        if trouble is None:
            return None
        state = trouble.state(self._clock())
        if state in ("paused", "broken"):
            raise _paused(trouble, trouble.until - self._clock())
        return self._probe(trouble) if state == "half-open" else None

    def succeeded(self, domain: str) -> None:
        """Forget what was known against `domain`."""
        path = self._path(domain)
        if os.path.exists(path):
            with self._changing(domain):
                trouble = json_file.read(path, Trouble)
                if trouble is None or trouble.state(self._clock()) != "paused":
                    with contextlib.suppress(OSError):  # read-only: it stays until it is over
                        path.unlink()
            if trouble and trouble.opened:
                log.info("event=domain_mended domain=%s", domain)

    def failed(self, domain: str, error: ImageCloudError) -> None:
        """Record how a request to `domain` ended; ignore errors that say nothing about the domain."""
        if _asked_to_wait(error):
            self._pause(domain, error)
        elif _counts(error):
            self._count(domain, error)
        elif isinstance(error, ANSWERED):
            self.succeeded(domain)

    def expire(self) -> None:
        """Remove what is long over."""
        for path in self._folder.glob("*.json"):
            trouble = json_file.read(path, Trouble)
            last = max(trouble.until, trouble.changed) if trouble else 0.0
            if last + FORGET_AFTER_S < self._clock():
                path.unlink(missing_ok=True)

    def _probe(self, trouble: Trouble) -> Locks:
        locks = Locks(self._lock_file)
        if locks.take(offset_of(trouble.domain) + _PROBING):
            return locks
        locks.close()
        raise _paused(trouble, PROBE_RETRY_S)

    def _pause(self, domain: str, error: ImageCloudError) -> None:
        with self._changing(domain):
            now = self._clock()
            before = self.trouble(domain) or Trouble(domain)
            until = max(before.until, now + (error.retry_after_s or 0.0))
            self._write(_with(before, error, until=until, changed=now))
        log.warning(
            "event=domain_paused domain=%s seconds=%.0f status=%s",
            domain, until - now, error.upstream_status,
        )  # fmt: skip

    def _count(self, domain: str, error: ImageCloudError) -> None:
        with self._changing(domain):
            now, s = self._clock(), self._settings
            before = self.trouble(domain) or Trouble(domain)
            failures, opened, until = before.failures + 1, before.opened, before.until
            opens = until <= now if opened else failures >= s.failures
            if opens:
                open_s = min(s.first_pause * 2 ** min(opened, 30), s.longest_pause)
                until, opened = now + open_s * self._jitter(1 - s.jitter, 1 + s.jitter), opened + 1
            self._write(
                _with(before, error, until=until, failures=failures, opened=opened, changed=now)
            )
        if opens:
            log.warning(
                "event=domain_broken domain=%s seconds=%.0f failures=%d code=%s",
                domain, until - now, failures, error.code,
            )  # fmt: skip

    @contextlib.contextmanager
    def _changing(self, domain: str) -> Iterator[None]:
        with Locks(self._lock_file) as locks:
            locks.wait(offset_of(domain) + _WRITING)
            yield

    def _path(self, domain: str) -> Path:
        return self._folder / _file_name(domain)

    def _write(self, trouble: Trouble) -> None:
        """Write the file; a disk that is full must not be an error of its own."""
        try:
            json_file.write(self._path(trouble.domain), trouble)
        except OSError as error:
            log.warning(
                "event=trouble_not_written domain=%s reason=%r", trouble.domain, error.strerror
            )


@functools.lru_cache(maxsize=1024)  # a few shops are asked again and again
def _file_name(domain: str) -> str:
    return hashlib.sha256(domain.encode()).hexdigest()[:16] + ".json"


def _with(before: Trouble, error: ImageCloudError, **changes: float) -> Trouble:
    said = {"code": error.code, "detail": error.detail, "upstream_status": error.upstream_status}
    return dataclasses.replace(before, **said, **changes)  # type: ignore[arg-type]


def _asked_to_wait(error: ImageCloudError) -> bool:
    return isinstance(error, OriginStatus) and bool(error.retry_after_s)


def _counts(error: ImageCloudError) -> bool:
    status = error.upstream_status or 0
    is_status = isinstance(error, OriginStatus) and (status >= 500 or status == 429)
    return is_status or isinstance(error, COUNTED)


def _paused(trouble: Trouble, left_s: float) -> OriginPaused:
    host = trouble.domain.partition("/")[0]
    return OriginPaused(
        f"{host} is paused: {trouble.detail}",
        upstream_status=trouble.upstream_status,
        retry_after_s=max(left_s, 0.1),
    )
