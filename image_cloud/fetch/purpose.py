"""Who asks for an original, and what follows from that for its download."""

from __future__ import annotations

import dataclasses
import enum

from image_cloud.politeness.slots import Slot


class Keep(enum.Enum):
    """What has become of a picture once it is here."""

    IF_POSSIBLE = enum.auto()
    """It is on disk; a full storage leaves it in memory."""
    STORED = enum.auto()
    """It is on disk, else StorageUnavailable is raised; who relies on it syncs it (Originals.sync_all)."""
    LASTS = enum.auto()
    """The same, and it survives a crash of the machine."""


@dataclasses.dataclass(frozen=True)
class Purpose:
    """What one asker expects.

    `is_urgent`: its download goes before those that nobody waits for.
    `waits_for_others`: it waits while another process downloads the same URL; else it gets Busy.
    `keep`: what has become of the picture before `load` returns.
    `slot` is a slot of the URL's domain that the asker holds; the download gives it back.
    """

    is_urgent: bool
    waits_for_others: bool
    keep: Keep
    slot: Slot | None = None


VISITOR = Purpose(is_urgent=True, waits_for_others=True, keep=Keep.IF_POSSIBLE)
"""Somebody looks at a page: quick before all else."""

RESTORE = Purpose(is_urgent=False, waits_for_others=True, keep=Keep.LASTS)
"""A lost original comes back: its row says already that it is here."""


def prefetch(slot: Slot, keep: Keep) -> Purpose:
    """Return the purpose of a URL that is fetched in advance: it is crossed off the list next."""
    return Purpose(is_urgent=False, waits_for_others=False, keep=keep, slot=slot)
