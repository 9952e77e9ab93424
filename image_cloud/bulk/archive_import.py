"""Imports of tars in webdataset's layout: pictures with a JSON beside them that has their URL.

Such a tar is a stranger's, too: the pictures are judged as downloads are, and nothing is fetched.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

from image_cloud.bulk.group import Group, Received
from image_cloud.bulk.members import Member, NotTar, members
from image_cloud.bulk.samples import JSON, MOST_JSON_BYTES, PRIVATE, read_told
from image_cloud.errors import (
    Blocked,
    CorruptImage,
    DeletedMeanwhile,
    ImageCloudError,
)
from image_cloud.fetch.arrival import IMPORT, Arrivals, Delivery
from image_cloud.fetch.importing import DELETED, HERE, IMPORTED
from image_cloud.picture.headers.validators import NONE, Validators, checked
from image_cloud.picture.key import KEY_PATTERN
from image_cloud.picture.record import Record, check_time
from image_cloud.picture.url import Url
from image_cloud.picture.variant import EXTENSIONS
from image_cloud.process.closing import Closing
from image_cloud.storage.store import Store

PICTURES = frozenset({*EXTENSIONS.values(), "jpeg", "jpe", "tif", "heif"})


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one picture: IMPORTED, HERE or DELETED; or empty, and `reason` says why."""

    name: str
    what: str
    reason: str = ""


class _Sample(Closing):
    """The files of one picture as far as they have come; `wrong` is why it cannot be taken."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.received: Received | None = None
        self.told: dict[str, Any] | None = None
        self.modified_s = 0.0
        self.wrong = ""

    @property
    def is_meant(self) -> bool:
        """Say whether anything of it belongs to a picture: tars have other files, too."""
        return bool(self.received or self.told or self.wrong)

    def close(self) -> None:
        """Let go of what was not handed over."""
        if self.received:
            self.received.close()


class ArchiveImporter:
    """Takes the pictures of tars into `store`, whole groups at a time.

    `record` is called with what is on disk then.  A file larger than `most_bytes` is not taken.
    """

    def __init__(
        self,
        store: Store,
        arrivals: Arrivals,
        record: Callable[[Sequence[Record]], object],
        most_bytes: int,
    ) -> None:
        self._store = store
        self._arrivals = arrivals
        self._record = record
        self._most_bytes = most_bytes

    def take(self, file: BinaryIO) -> Iterator[Outcome]:
        """Take all pictures of a tar; yield what became of each.

        Raises NotTar, StorageUnavailable, OSError; what came before is taken.
        """
        with Group(self._store) as group:
            names: dict[str, str] = {}
            try:
                for sample in self._samples(file):
                    yield from self._judge(sample, group, names)
                    if group.is_full:
                        yield from self._finish(group, names)
            except NotTar:
                yield from self._finish(group, names)
                raise
            yield from self._finish(group, names)

    def _samples(self, file: BinaryIO) -> Iterator[_Sample]:
        """Yield the pictures, each with all of its files; they stand one after the other."""
        with contextlib.ExitStack() as undo:
            sample: _Sample | None = None
            for member in members(file):
                if sample is None or sample.name != member.sample:
                    if sample and sample.is_meant:
                        yield sample
                    undo.close()
                    sample = undo.enter_context(_Sample(member.sample))
                self._read(member, sample)
            if sample and sample.is_meant:
                yield sample

    def _read(self, member: Member, sample: _Sample) -> None:
        if member.kind == JSON:
            self._read_told(member, sample)
        elif member.kind in PICTURES and sample.received is None:
            if member.size > self._most_bytes:
                sample.wrong = f"the picture is larger than {self._most_bytes} bytes"
                return
            sample.modified_s = member.modified_s
            sample.received = Received(self._store)
            for piece in member.pieces:
                sample.received.write(piece)

    def _read_told(self, member: Member, sample: _Sample) -> None:
        if member.size > MOST_JSON_BYTES:
            sample.wrong = "its JSON is too large"
            return
        try:
            sample.told = read_told(b"".join(member.pieces))
        except ValueError as error:
            sample.wrong = f"its JSON is malformed: {error}"

    def _judge(self, sample: _Sample, group: Group, names: dict[str, str]) -> Iterator[Outcome]:
        """Add a picture to the group, or yield why not."""
        try:
            url, delivery = self._delivery(sample)
            assert sample.received
            self._store.tombstones.check(url.key, delivery.stored_at)
            record = self._arrivals.describe(url, sample.received, delivery)
        except (Blocked, DeletedMeanwhile):
            yield Outcome(sample.name, DELETED)
        except (ImageCloudError, ValueError) as error:
            yield Outcome(sample.name, "", str(error))
        else:
            if self._is_here(record):
                yield Outcome(sample.name, HERE)
                return
            names[record.key] = sample.name
            file = sample.received.hand_over()
            group.add(file, record, is_private=delivery.is_private)

    def _is_here(self, record: Record) -> bool:
        known = self._store.records.find(record.key)
        is_newer = known is not None and known.version < record.version
        return not is_newer and self._store.originals.find(record.key) is not None

    def _delivery(self, sample: _Sample) -> tuple[Url, Delivery]:
        """Return what the JSON says of the bytes.  Raises ValueError, ImageCloudError."""
        told, received = sample.told, sample.received
        if sample.wrong or told is None or received is None:
            lacks = "a JSON" if told is None else "a picture"
            raise ValueError(sample.wrong or f"it lacks {lacks}")
        url = Url.parse(_text(told, "url") or "")
        _check_key(told.get("key"), url)
        sha256 = (_text(told, "sha256") or "").lower()
        if sha256 and sha256 != received.sha256:
            raise CorruptImage("its bytes are not those of its SHA-256")
        return url, Delivery(
            received.sha256,
            _stored_at(told, sample.modified_s),
            IMPORT,
            is_in_full=bool(sha256),
            is_private=told.get(PRIVATE) is True,
            validators=_validators(told),
        )

    def _finish(self, group: Group, names: dict[str, str]) -> Iterator[Outcome]:
        """Name and record what has come; yield what became of it."""
        here, failed = group.place()
        self._record(here)
        group.close()
        for record in here:
            yield Outcome(names[record.key], IMPORTED)
        for key, error in failed.items():
            is_deleted = isinstance(error, (Blocked, DeletedMeanwhile))
            yield Outcome(names[key], *((DELETED,) if is_deleted else ("", str(error))))
        names.clear()


def _check_key(said: object, url: Url) -> None:
    """Refuse the key of another picture; other tools have keys of their own."""
    if isinstance(said, str) and KEY_PATTERN.fullmatch(said) and said != url.key:
        raise ValueError("its key is that of another URL")


def _text(told: dict[str, Any], name: str) -> str | None:
    value = told.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name}: not a text")
    return value


def _stored_at(told: dict[str, Any], modified_s: float) -> float:
    """Return when the picture was stored, by its JSON or else its file; never later than now."""
    said = told.get("stored_at", modified_s)
    if isinstance(said, bool) or not isinstance(said, (int, float)):
        raise ValueError("stored_at: not a time")
    check_time(said)
    return round(min(said, time.time()), 6)


def _validators(told: dict[str, Any]) -> Validators:
    names = ("etag", "last_modified", "final_key")
    try:
        return checked(Validators(*(_text(told, name) for name in names)))
    except ValueError:
        return NONE
