"""Who asks for an original, and what follows from that for its download."""

from __future__ import annotations

import dataclasses

from image_cloud.politeness.slots import Slot


@dataclasses.dataclass(frozen=True)
class Purpose:
    """What one asker expects.

    `is_urgent`: its download goes before those that nobody waits for.
    `waits_for_others`: it waits while another process downloads the same URL; else it gets Busy.
    `must_last`: the picture survives a crash of the machine before `load` returns.
    `slot` is a slot of the URL's domain that the asker holds; the download gives it back.
    """

    is_urgent: bool
    waits_for_others: bool
    must_last: bool
    slot: Slot | None = None


VISITOR = Purpose(is_urgent=True, waits_for_others=True, must_last=False)
"""Somebody looks at a page: quick before all else."""

RESTORE = Purpose(is_urgent=False, waits_for_others=True, must_last=True)
"""A lost original comes back: its row says already that it is here."""


def prefetch(slot: Slot) -> Purpose:
    """Return the purpose of a URL that is fetched in advance: it is crossed off the list next."""
    return Purpose(is_urgent=False, waits_for_others=False, must_last=True, slot=slot)
