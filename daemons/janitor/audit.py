"""The slow audit: reads every original again within a budget, and heals what is wrong."""

from __future__ import annotations

import contextlib
import itertools
import logging
import time
from collections.abc import Callable
from pathlib import Path

from image_cloud.errors import Busy, DatabaseUnavailable, ImageCloudError
from image_cloud.fetch.audit import Auditor, Finding
from image_cloud.fetch.audit_state import AuditState, Found, Place
from image_cloud.metrics.definitions import (
    AUDIT_FINDINGS,
    AUDIT_FINISHED,
    AUDIT_POSITION,
    AUDITED_BYTES,
)
from image_cloud.process.locks import LockFile, locked
from image_cloud.process.steps import GoOn
from image_cloud.storage.originals import FOLDERS

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 500
BATCHES_AT_ONCE = 32
LOOK_FOR_MISSING_EVERY_S = 60.0
LOCK = "0" * 64


class Audit:
    """One step looks at some rows or originals; the pause after it keeps the budget.

    `state` keeps its place, so that a restart goes on from there.  One node at a time holds the `lock`.
    """

    def __init__(
        self,
        auditor: Auditor,
        state: AuditState,
        lock: Path | LockFile,
        bytes_per_second: int,
        pause_s: float,
        go_on: GoOn,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.idle_s = 1.0
        self._auditor = auditor
        self._state = state
        self._lock = lock
        self._bytes_per_second = bytes_per_second
        self._pause_s = pause_s
        self._go_on = go_on
        self._clock = clock
        self._row_key = ""
        self._next_missing = 0.0
        self._read_bytes = 0

    def step(self) -> bool:
        """Do a second's worth of work, unless another node does it on the same storage."""
        self.idle_s = 1.0
        with contextlib.suppress(Busy), locked(self._lock, LOCK, 0.0):
            self._look_for_missing()
            if self._bytes_per_second:
                self._read_some()
        return False

    def _look_for_missing(self) -> None:
        if self._clock() < self._next_missing:
            return
        self._row_key, findings = self._auditor.missing(self._row_key, ROWS_AT_ONCE)
        self._heal(findings)
        if not self._row_key:
            self._next_missing = self._clock() + min(self._pause_s, LOOK_FOR_MISSING_EVERY_S)

    def _read_some(self) -> None:
        place = self._state.place()
        _tell(place)
        if place.folder == 0 and 0 <= self._clock() - place.finished_at < self._pause_s:
            return
        self._read_bytes = 0
        following = FOLDERS
        batches = self._auditor.batches(place.folder % FOLDERS)
        for batch in itertools.islice(batches, BATCHES_AT_ONCE):
            following = batch.following
            self._heal(list(self._auditor.look_at(batch.originals, self._count)))
            if not self._go_on():
                self._go_to(Place(batch.first, place.finished_at))
                return
            if self._read_bytes >= self._bytes_per_second:
                break
        if following == FOLDERS:
            log.info("event=audit_finished")
            self._go_to(Place(0, self._clock()))
            return
        self._go_to(Place(following, place.finished_at))
        self.idle_s = max(0.05, self._read_bytes / self._bytes_per_second)

    def _count(self, size: int) -> None:
        self._read_bytes += size
        AUDITED_BYTES.add(by=size)
        self._go_on()

    def _heal(self, findings: list[Finding]) -> None:
        for finding in findings:
            if not self._go_on():
                return  # it is found again
            try:
                done = self._auditor.repair(finding)
                AUDIT_FINDINGS.add(finding.kind, done)
                log.warning("event=healed key=%s kind=%s done=%s", finding.key, finding.kind, done)
                self._note(finding, done)
            except DatabaseUnavailable:
                raise
            except (ImageCloudError, OSError) as error:
                AUDIT_FINDINGS.add(finding.kind, "failed")
                log.error(
                    "event=not_healed key=%s kind=%s error=%s", finding.key, finding.kind, error
                )
                self._note(finding, f"not healed: {_code_of(error)}")

    def _go_to(self, place: Place) -> None:
        _tell(place)
        self._state.go_to(place)

    def _note(self, finding: Finding, done: str) -> None:
        self._state.add(Found(self._clock(), finding.key, finding.kind, done))


def _tell(place: Place) -> None:
    AUDIT_POSITION.set(place.folder / FOLDERS)
    AUDIT_FINISHED.set(place.finished_at)


def _code_of(error: Exception) -> str:
    return error.code if isinstance(error, ImageCloudError) else type(error).__name__
