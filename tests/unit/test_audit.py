"""How the audit paces itself; what it finds: tests/integration/test_audit.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from daemons.janitor.audit import BATCHES_AT_ONCE, Audit
from image_cloud.fetch.audit import Batch
from image_cloud.fetch.audit_state import AuditState
from image_cloud.storage.originals import FOLDERS
from tests.clock import Clock

DAY_S = 86400.0


class Auditor:
    """Finds nothing wrong and counts the looks at its batches, each of 16 folders."""

    looked_at = 0

    def missing(self, key: str, limit: int) -> tuple[str, list[Any]]:
        return "", []

    def batches(self, first: int = 0) -> Iterator[Batch]:
        return (Batch(number, number + 16, []) for number in range(first, FOLDERS, 16))

    def look_at(self, originals: Sequence[Any], on_read: Callable[[int], None]) -> Iterator[Any]:
        self.looked_at += 1
        return iter(())


def test_a_lowered_pause_works_at_once(tmp_path: Path) -> None:
    clock, auditor = Clock(1_800_000_000.0), Auditor()

    def is_audited(pause_s: float) -> bool:
        """Say whether a janitor with this pause goes through all folders again."""
        before = auditor.looked_at
        state, lock = AuditState(tmp_path), tmp_path / ".audit"
        audit = Audit(auditor, state, lock, 10**9, pause_s, lambda: True, clock)
        for _ in range(FOLDERS // 16 // BATCHES_AT_ONCE):
            audit.step()
        assert auditor.looked_at - before in (0, FOLDERS // 16)
        return auditor.looked_at > before

    assert is_audited(DAY_S)
    clock.now += 3600.0
    assert not is_audited(DAY_S)
    assert not is_audited(3601.0)
    assert is_audited(3600.0)
    assert not is_audited(3600.0)
    clock.now -= 10 * DAY_S  # a clock that was set back does not stop the audit for so long
    assert is_audited(DAY_S)
