"""Why a stack cannot start: one clear line for the person who asked for it."""

from __future__ import annotations


class CannotStart(Exception):
    """The stack cannot start or go on; the text is the one line that is printed.

    `evidence` (the end of a log, say) is printed before it.
    """

    def __init__(self, reason: str, *, evidence: str = "") -> None:
        self.evidence = evidence
        super().__init__(reason)
