"""Politeness: which domains are paused and why, shared by all processes.

One small JSON file per troubled domain in `domains/` below the storage; a healthy domain has none.

- An origin that answers 429 or 503 with Retry-After is paused for that time, but no longer than the settings
  say: less for users' requests than for all others.
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
    OriginRefused,
    OriginReset,
    OriginStatus,
    OriginTimeout,
    OriginTls,
    RobotsRefused,
    UnusableImage,
)
from image_cloud.politeness.trouble import BROKEN, FAILING, PAUSED, Trouble
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
FORGOTTEN_AFTER_S = 7200.0  # without a request to it nobody knows whether a domain is still dead
MEND_AGAIN_S = 1.0
_WRITING, _PROBING = BYTES_PER_NAME - 1, BYTES_PER_NAME - 2


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

    def admit(self, domain: str, *, urgent: bool = False) -> Locks | None:
        """Let a request to `domain` go on; an `urgent` one is a user's.

        Raises OriginPaused while the domain is paused.  For the one request that tries a
        half-open domain it returns a lock, to be closed after `succeeded` or `failed`.
        """
        trouble = self.trouble(domain)
        if trouble is None:
            return None
        now = self._clock()
        state = trouble.state(now, urgent=urgent)
        if state in (PAUSED, BROKEN):
            raise trouble.refusal(trouble.end(urgent=urgent) - now)
        return None if state == FAILING else self._probe(trouble)

    def succeeded(self, domain: str) -> None:
        """Forget what was known against `domain`, but not a pause that it asked for."""
        path = self._path(domain)
        if os.path.exists(path):
            with self._changing(domain):
                trouble = json_file.read(path, Trouble)
                self._mend(path, trouble)
            if trouble and trouble.opened:
                log.info("event=domain_mended domain=%s", domain)

    def resume(self, domain: str) -> bool:
        """Lift the pause of `domain`, whatever its reason; say whether there was anything to forget."""
        path = self._path(domain)
        with self._changing(domain):
            known = json_file.read(path, Trouble) is not None
            path.unlink(missing_ok=True)
        if known:
            log.warning("event=domain_resumed domain=%s", domain)
        return known

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
        raise trouble.refusal(PROBE_RETRY_S)

    def _mend(self, path: Path, trouble: Trouble | None) -> None:
        now = self._clock()
        if trouble is None or trouble.state(now) != PAUSED:
            with contextlib.suppress(OSError):  # read-only: it stays until it is over
                path.unlink()
        elif trouble.failures or trouble.since + MEND_AGAIN_S < now:
            self._write(dataclasses.replace(trouble, failures=0, since=now))

    def _pause(self, domain: str, error: ImageCloudError) -> None:
        asked_s, s = error.retry_after_s or 0.0, self._settings
        with self._changing(domain):
            now = self._clock()
            before = self._before(domain, now)
            until = max(before.until, now + min(asked_s, s.longest_retry_after))
            users_s = min(asked_s, s.longest_retry_after_interactive)
            for_users = min(until, max(before.end(urgent=True), now + users_s))
            self._write(_with(before, error, until=until, until_for_users=for_users, changed=now))
        log.warning(
            "event=domain_paused domain=%s seconds=%.0f for_users_s=%.0f asked_s=%.0f status=%s",
            domain, until - now, for_users - now, asked_s, error.upstream_status,
        )  # fmt: skip

    def _count(self, domain: str, error: ImageCloudError) -> None:
        with self._changing(domain):
            now = self._clock()
            before = self._before(domain, now)
            after = dataclasses.replace(before, failures=before.failures + 1)
            opens = self._opens(after, now)
            if opens:
                after = self._opened(after, now)
            self._write(_with(after, error, changed=now))
        if opens:
            log.warning(
                "event=domain_broken domain=%s seconds=%.0f failures=%d code=%s",
                domain, after.until - now, after.failures, error.code,
            )  # fmt: skip

    def _opens(self, trouble: Trouble, now: float) -> bool:
        if trouble.opened:
            return trouble.end(urgent=True) <= now
        return trouble.failures >= self._settings.failures

    def _opened(self, trouble: Trouble, now: float) -> Trouble:
        """Return `trouble` with the breaker opened once more, longer than the last time."""
        s = self._settings
        open_s = min(s.first_pause * 2 ** min(trouble.opened, 30), s.longest_pause)
        end = now + open_s * self._jitter(1 - s.jitter, 1 + s.jitter)
        until = max(trouble.until, end)
        return dataclasses.replace(
            trouble, opened=trouble.opened + 1, until=until, until_for_users=end
        )

    def _before(self, domain: str, now: float) -> Trouble:
        """Return what is known already; what was long ago says nothing of the time between."""
        known = self.trouble(domain) or Trouble(domain, since=now)
        is_old = max(known.until, known.changed) + FORGOTTEN_AFTER_S < now
        return dataclasses.replace(known, since=now) if is_old or not known.since else known

    @contextlib.contextmanager
    def _changing(self, domain: str) -> Iterator[None]:
        with Locks(self._lock_file) as locks:
            locks.wait(offset_of(domain) + _WRITING)
            yield

    def _path(self, domain: str) -> Path:
        return _file(self._folder, domain)

    def _write(self, trouble: Trouble) -> None:
        """Write the file; a disk that is full must not be an error of its own."""
        try:
            json_file.write(self._path(trouble.domain), trouble)
        except OSError as error:
            log.warning(
                "event=trouble_not_written domain=%s reason=%r", trouble.domain, error.strerror
            )


@functools.lru_cache(maxsize=1024)  # a few shops are asked again and again
def _file(folder: Path, domain: str) -> Path:
    return folder / (hashlib.sha256(domain.encode()).hexdigest()[:16] + ".json")


def _with(before: Trouble, error: ImageCloudError, **changes: float) -> Trouble:
    said = {"code": error.code, "detail": error.detail, "upstream_status": error.upstream_status}
    return dataclasses.replace(before, **said, **changes)  # type: ignore[arg-type]


def _asked_to_wait(error: ImageCloudError) -> bool:
    return isinstance(error, OriginStatus) and bool(error.retry_after_s)


def _counts(error: ImageCloudError) -> bool:
    status = error.upstream_status or 0
    is_status = isinstance(error, OriginStatus) and (status >= 500 or status == 429)
    return is_status or isinstance(error, COUNTED)
