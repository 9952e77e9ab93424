"""How far the audit is, and what it found last: small files that the janitor writes and the pages read."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

from image_cloud.process import json_file

MOST_FINDINGS = 50


@dataclasses.dataclass(frozen=True)
class Place:
    """The next folder, and when (seconds since 1970) the audit before this one was finished."""

    folder: int = 0
    finished_at: float = 0.0


@dataclasses.dataclass(frozen=True)
class Found:
    """One thing that was wrong `at` a time (seconds since 1970), and what was `done` about it."""

    at: float
    key: str
    kind: str
    done: str


class AuditState:
    """The files of the audit in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._place = folder / "audit.json"
        self._findings = folder / "audit_findings.json"

    def place(self) -> Place:
        """Return how far it is."""
        return json_file.read(self._place, Place) or Place()

    def go_to(self, place: Place) -> None:
        """Note how far it is."""
        with contextlib.suppress(OSError):  # the same folders are read once more
            json_file.write(self._place, place)

    def findings(self) -> list[Found]:
        """Return what was found last, the newest first."""
        return (json_file.read(self._findings, list[Found]) or [])[:MOST_FINDINGS]

    def add(self, found: Found) -> None:
        """Note a finding; what is found again, as it could not be healed, stands there once."""
        others = [one for one in self.findings() if (one.key, one.kind) != (found.key, found.kind)]
        with contextlib.suppress(OSError):
            json_file.write(self._findings, [found, *others][:MOST_FINDINGS])
