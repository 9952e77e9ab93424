"""The pictures of one node: one object for each kind of file, and the steps that change several at once."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from pathlib import Path

from image_cloud.errors import StorageUnavailable
from image_cloud.picture.headers.validators import Validators
from image_cloud.picture.record import Original, Record, Tombstone
from image_cloud.process.locks import locked
from image_cloud.storage.files import version_of
from image_cloud.storage.guard.calls import together
from image_cloud.storage.guard.guarded import Guard, guarded
from image_cloud.storage.local.checks import Checks, Seen
from image_cloud.storage.local.lease import Lease
from image_cloud.storage.local.variants import Variants
from image_cloud.storage.new_file import NewFile, sync_together
from image_cloud.storage.originals import Originals
from image_cloud.storage.records import Records
from image_cloud.storage.space import NONE, Room, Space
from image_cloud.storage.tombstones import Tombstones, earliest_after

PLACING_PATIENCE_S = 10.0


@dataclasses.dataclass(frozen=True)
class Store:
    """What is in one storage folder, `root`; variants and what a hit looks at are below `local`.

    The methods hold the placing lock of their key for some milliseconds: under it pictures appear and go.
    """

    root: Path
    local: Path
    originals: Originals
    variants: Variants
    records: Records
    tombstones: Tombstones
    checks: Checks
    space: Space
    variants_space: Space

    @classmethod
    def at(
        cls,
        root: Path,
        reserve: Room = NONE,
        *,
        local: Path | None = None,
        lease: Lease | None = None,
        guard: Guard | None = None,
    ) -> Store:
        """Return the store in `root`, with its variants in `local` or there as well.

        Less free than the `reserve` means full.  With a `lease` other nodes change the originals, too.
        What touches `root` is run by `guard`, and then raises StorageUnavailable.
        """
        local, space, records = local or root, Space(root, reserve), Records(root)
        store = cls(
            root=root,
            local=local,
            originals=Originals(root, local, records) if lease else Originals(root),
            variants=Variants(local, lease),
            records=records,
            tombstones=Tombstones(root),
            checks=Checks(local),
            space=space,
            variants_space=space if local == root else Space(local, reserve, "variants"),
        )
        return _guarded(store, guard) if guard else store

    def place(
        self, file: NewFile, record: Record, *, lasts: bool = True, is_private: bool = False
    ) -> Original:
        """Give `file` its place; note it as unrecorded first.  Neither has its name before its bytes last.

        Without `lasts` a crash of the machine within seconds may lose both, until `originals.sync`.
        A newer original that is here already stays, and is returned.
        Raises OSError, Blocked and DeletedMeanwhile; then neither the note nor the file stays.
        """
        with self._placing(record.key):
            before, stays = self._before(record)
            if before and stays:
                return before
            with self.originals.near(file) as new, self.records.draft(record) as note:
                sync_together(new, note)
                return self._place(new, note, record, before, lasts=lasts, is_private=is_private)

    def place_synced(
        self, file: NewFile, note: NewFile, record: Record, *, is_private: bool = False
    ) -> Original:
        """Do the same with a file and its note whose bytes are on the disk; names last after `sync_all`."""
        with self._placing(record.key):
            before, stays = self._before(record)
            if before and stays:
                return before
            return self._place(file, note, record, before, lasts=False, is_private=is_private)

    def look(self, key: str) -> tuple[Original | None, float]:
        """Return the original of `key`; where there is none, when it may be stored at the earliest.

        Raises Blocked.
        """
        if not self.originals.is_far:
            original = self.originals.find(key)
            return original, 0.0 if original else self.tombstones.earliest(key)
        original, tombstone = together(
            lambda: self.originals.find_new(key), lambda: self.tombstones.find(key)
        )
        return original, 0.0 if original else earliest_after(tombstone)

    def _before(self, record: Record) -> tuple[Original | None, bool]:
        """Return the original that is here, and whether it stays.  Raises Blocked and DeletedMeanwhile."""
        self.tombstones.check(record.key, record.stored_at)
        before = self.originals.find_new(record.key)
        known = self.records.find(record.key) if before else None
        return before, known is not None and known.version >= record.version

    def _place(
        self, file: NewFile, note: NewFile, record: Record, before: Original | None,
        *, lasts: bool, is_private: bool,
    ) -> Original:  # fmt: skip
        original = record.original(is_private=is_private)
        self.records.place(note, record.key)
        self._name(file, original, record, lasts=lasts)
        self.checks.forget(record.key)
        self.checks.forget_gone(record.key)
        if before:
            self._forget_replaced(before, original)
        return original

    def check_variants(self, original: Original) -> None:
        """Remove variants of another version of `original`, unless all that are here are believed."""
        if not self.variants.are_believed():
            made_of = version_of(f"{self.root}/{original.relative}")
            self.variants.keep_only(original.stem, made_of.modified_ns)

    def seen(self, key: str) -> Seen | None:
        """Return when the origin was last seen to have the picture; None where nobody knows.

        Where no file tells, its record does: from then on a file does.
        """
        seen = self.checks.find(key)
        record = None if seen else self.records.find(key)
        if record is None:
            return seen
        self.checks.mark_store(key, record.stored_at)
        return Seen(record.stored_at, by_check=False)

    def is_over(self, key: str, max_age_s: float, least_age_s: float) -> bool:
        """Say whether the origin was last seen to have the picture, if that is here, longer ago."""
        seen = self.seen(key)
        return seen is not None and seen.is_over(max_age_s, least_age_s, time.time())

    def confirm(self, record: Record, at: float, validators: Validators) -> Record | None:
        """Note that the origin had the bytes of `record` at that time, and what it says of them now.

        Return the record as it is then, None where these bytes are here no longer.  Nothing is restamped.
        """
        with self._placing(record.key):
            known = self.records.find(record.key)
            if known is None or known.sha256 != record.sha256 or not self.originals.find(known.key):
                return None
            seen = self.checks.find(record.key)
            if seen is None or seen.at < at:
                self.checks.mark(record.key, at)
            self.checks.forget_gone(record.key)
            told = dataclasses.replace(known, **vars(validators)) if validators else known
            if told != known:
                with contextlib.suppress(OSError):  # a full disk: the next answer tells it again
                    self.records.amend(told)
        return told

    def _name(self, file: NewFile, original: Original, record: Record, *, lasts: bool) -> None:
        try:
            self.originals.place(file, original, record)
            if lasts:
                self.originals.sync(original)
        except OSError:
            self.records.forget_note(original.key)
            raise

    def _forget_replaced(self, before: Original, now: Original) -> None:
        if before != now:
            self.originals.remove_file(before)
        self.variants.remove(now.key)

    def restamp(self, record: Record) -> None:
        """Note a newer store of the same bytes.  Raises OSError, Blocked, DeletedMeanwhile."""
        with self._placing(record.key):
            self.tombstones.check(record.key, record.stored_at)
            original = self.originals.find(record.key)
            if original:
                self.records.note(record)
                self.originals.restamp(original, record)
                self.checks.forget(record.key)

    def retag(self, record: Record) -> None:
        """Give an original of an earlier release the tag of its bytes, if that can be written."""
        with contextlib.suppress(OSError):
            original = self.originals.find(record.key)
            if original is None or self.originals.is_tagged(original, record):
                return
            with self._placing(record.key):
                if self.records.find(record.key) in (record, None):
                    self.originals.restamp(original, record)

    def bury(self, tombstone: Tombstone, now: float) -> bool:
        """Write the tombstone and remove what it forbids; say whether an original was removed.

        A note remains until the database knows.  `now` is the cluster's time: a store later than
        that does not count as newer.  Raises OSError; then nothing but the picture is gone.
        """
        with self._placing(tombstone.key):
            known = self.tombstones.find(tombstone.key)
            if known and known.deleted_at > tombstone.deleted_at:
                return False
            record = self.records.find(tombstone.key)
            stays = record and not tombstone.forbids(record.stored_at) and record.stored_at <= now
            if stays:
                self.tombstones.write(tombstone)
                return False
            try:
                self.tombstones.write(tombstone)
            except OSError:  # a full disk: removing the picture makes room
                was_here = self._remove(tombstone.key)
                self.tombstones.write(tombstone)
                return was_here
            return self._remove(tombstone.key)

    def drop(self, record: Record) -> None:
        """Remove a copy that need not be here, unless it has changed meanwhile; no tombstone."""
        with self._placing(record.key):
            known = self.records.find(record.key)
            if known is None or known.version == record.version:
                self._remove(record.key)

    def quarantine(self, original: Original) -> Path:
        """Move a damaged original out of the way and remove its variants; return where it is kept."""
        with self._placing(original.key):
            target = self.originals.quarantine(original)
            self.variants.remove(original.key)
        return target

    def _remove(self, key: str) -> bool:
        """Remove the original, its record and all variants; say whether there was an original."""
        was_here = self.originals.find(key) is not None
        self.originals.remove(key)
        self.records.remove(key)
        self.variants.remove(key)
        self.checks.forget(key)
        self.checks.forget_gone(key)
        return was_here

    def _placing(self, key: str) -> contextlib.AbstractContextManager[None]:
        # Text, not Path: making one of those costs more than the lock.
        return locked(f"{self.root}/cluster/.placing", key, PLACING_PATIENCE_S)


def require_good_variants(store: Store) -> None:
    """Raise StorageUnavailable where variants cannot be written, or what is here is not believed."""
    store.variants_space.check_writable()
    if not store.variants.are_believed():
        reason = "what other nodes changed is not known; each is compared with its original"
        raise StorageUnavailable(f"variants: {reason}")


def _guarded(store: Store, guard: Guard) -> Store:
    parts = {
        name: guarded(getattr(store, name), guard)
        for name in ("originals", "records", "tombstones", "space")
    }
    return guarded(store, guard, parts)
