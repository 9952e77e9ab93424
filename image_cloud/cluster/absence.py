"""A node that was away longer than deletes are kept must not serve its pictures unchecked.

Its originals, variants and records are moved aside in three renames, before anything serves.  While the
peers' feeds are read from the start, pictures that a peer still has come back without a transfer
(daemons/peer_clone/cloner.py); of the rest, only those stored here after the last contact do.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from image_cloud.process import json_file
from image_cloud.process.locks import exclusive
from image_cloud.storage.files import make_dir
from image_cloud.storage.folders import PRIVATE_DIR, make_folder

log = logging.getLogger(__name__)

DAY_S = 86400.0
NOTE_EVERY_S = 1.0
MOVED = ("originals", "variants", "records", "unrecorded")


@dataclasses.dataclass(frozen=True)
class Contact:
    """The last contact: its time, and the position in this node's feed that all others had reached."""

    at: float
    safe: str


class Freshness:
    """Remembers when this node last knew of all deletes, and acts when that is too long ago.

    `storage` is the storage folder; `clock` gives seconds since 1970.
    """

    def __init__(
        self, storage: Path, tombstone_days: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._storage = storage
        self._keep_s = tombstone_days * DAY_S
        self._clock = clock
        self._note = storage / "cluster" / "contact.json"
        self.aside = storage / "aside"
        self._kept = self.aside / "kept.json"
        self._planned = self.aside / "planned.json"
        self._safe = self.safe_position()
        self._noted = float("-inf")

    def last_contact(self) -> float | None:
        """Return when a peer's feed was last read to its end; None if never."""
        contact = json_file.read(self._note, Contact)
        return contact.at if contact else None

    def safe_position(self) -> str:
        """Return up to where in this node's feed others had cloned everything at the last contact."""
        contact = json_file.read(self._note, Contact)
        return contact.safe if contact else ""

    def contact(self, safe_position: str) -> None:
        """Note that a peer's feed has been read to its end now, and what others have of ours."""
        now, safe = self._clock(), safe_position or self._safe
        if safe == self._safe and now - self._noted < NOTE_EVERY_S:
            return
        self._safe, self._noted = safe, now
        json_file.write(self._note, Contact(now, safe))

    def plan(self, kept: Iterable[str]) -> None:
        """Save the keys that perhaps only this node has, before the catalogue that lists them is emptied."""
        json_file.write(self._planned, sorted(kept), durable=True)

    def is_planned(self) -> bool:
        """Return whether those keys are saved; the catalogue may be empty by now."""
        return self._planned.exists()

    def begin(self) -> None:
        """Record that the catalogue has been emptied."""
        os.rename(self._planned, self._kept)

    def has_begun(self) -> bool:
        """Return whether the catalogue has been emptied; until then the feed lists what was moved aside."""
        return self._kept.exists()

    def kept(self) -> set[str]:
        """Return the keys that `plan` saved; never guess that there are none.  Raises OSError, ValueError."""
        return set(json_file.load(self._kept, list[str]))

    def is_resynchronising(self) -> bool:
        """Return whether pictures are set aside until the peers' feeds have been read."""
        return self.aside.exists()

    def ensure(self) -> bool:
        """Move everything aside if the last contact is too long ago; say whether it was moved."""
        if not self._is_out_of_date():  # no lock: on a read-only storage there is none to be had
            return False
        with exclusive(self._storage / "cluster" / ".fresh"):
            contact = self.last_contact()
            if contact is None or not self._is_out_of_date() or self.is_resynchronising():
                return False
            self._move_aside()
        log.warning("event=moved_aside last_contact_days=%.1f", (self._clock() - contact) / DAY_S)
        return True

    def _is_out_of_date(self) -> bool:
        contact = self.last_contact()
        return contact is not None and self._clock() - contact > self._keep_s

    def finish(self) -> None:
        """Delete what was moved aside: no other node has it, so it was deleted meanwhile."""
        ended = self.aside.with_name("aside.ended")
        shutil.rmtree(ended, ignore_errors=True)
        if ended.exists():  # not all of it is ours to remove
            ended = ended.with_name(f"aside.ended.{secrets.token_hex(4)}")
        os.rename(self.aside, ended)
        shutil.rmtree(ended, ignore_errors=True)

    def _move_aside(self) -> None:
        draft = self._storage / "aside.new"
        make_dir(draft, PRIVATE_DIR)
        for name in MOVED:
            source = self._storage / name
            if source.exists() and not (draft / name).exists():
                os.rename(source, draft / name)
            make_folder(self._storage, name)
        for note in (draft / "unrecorded").glob("*.deleted.json"):  # deletes hold as before
            os.rename(note, self._storage / "unrecorded" / note.name)
        make_folder(self._storage, "variants/.incoming")
        os.rename(draft, self.aside)
