"""What is known of a picture: its record, its last check, and the facts that decoding tells."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from image_cloud.decoding.facts import FactsMaker
from image_cloud.errors import Busy, StorageUnavailable
from image_cloud.fetch.fallback import Fetching
from image_cloud.fetch.finder import Finder
from image_cloud.picture.dhash import Hash
from image_cloud.picture.facts import Facts
from image_cloud.picture.record import Original, Record
from image_cloud.picture.url import Url
from image_cloud.request.internal import FetchRequest
from image_cloud.request.params import ImageRequest
from image_cloud.request.steps import SendNothing, Step
from image_cloud.storage.store import Store

LOOKS = 3
"""A picture that is replaced so often while it is looked at has to be asked for again."""


@dataclasses.dataclass(frozen=True)
class Info:
    """What is told of a picture, as JSON; `source` is for X-Cache."""

    told: dict[str, Any]
    source: str


class Infos:
    """Tells what is known of the originals in `store`."""

    def __init__(self, store: Store, facts: FactsMaker) -> None:
        self._store = store
        self._facts = facts

    def kept(self, url: Url) -> dict[str, Any] | None:
        """Return what is known of a picture, None where its facts have to be made."""
        return self._told(url, self._facts.kept)

    def made(self, url: Url) -> dict[str, Any]:
        """Return what is known of a picture that is here, its facts made unless they are there.

        Raises the picture's error, Busy and StorageUnavailable.
        """
        return self._told(url, self._facts.have) or {}

    def _told(
        self, url: Url, facts_of: Callable[[Original], Facts | None]
    ) -> dict[str, Any] | None:
        """Look until file, record and facts are of the same version."""
        for _ in range(LOOKS):
            record, original = self._here(url.key)
            facts = facts_of(original)
            if facts is None:
                return None
            if self._here(url.key) == (record, original):
                return self._describe(record, url, facts)
        raise Busy("the picture is being replaced", retry_after_s=1)

    def _here(self, key: str) -> tuple[Record, Original]:
        original, record = self._store.originals.find(key), self._store.records.find(key)
        if original is None:
            raise Busy("the picture was deleted meanwhile", retry_after_s=1)
        if record is None:
            raise StorageUnavailable("storage: the picture's record is missing")
        return record, original

    def _describe(self, record: Record, url: Url, facts: Facts) -> dict[str, Any]:
        seen = self._store.seen(record.key)
        return {
            "url": url.text,
            "key": record.key,
            "format": record.format,
            "width": facts.width,
            "height": facts.height,
            "bytes": record.bytes,
            "sha256": record.sha256,
            "stored_at": record.stored_at,
            "checked_at": seen.at if seen and seen.by_check else record.stored_at,
            "stored_from": record.stored_from,
            "origin": {"etag": record.etag, "last_modified": record.last_modified},
            "animated": facts.animated,
            "has_alpha": facts.has_alpha,
            "orientation": facts.orientation,
            "average_colour": facts.average_colour,
            "dhash": facts.dhash,
        }


class InfoFinder:
    """Tells what is on disk, or what has to be fetched or made first."""

    def __init__(self, finder: Finder, infos: Infos) -> None:
        self._finder = finder
        self._infos = infos

    def find(self, wanted: ImageRequest) -> Info | FetchRequest:
        """Return what is known, or the request for the fetch pool.  Raises what Finder.find raises."""
        step = self._finder.find(wanted)
        if isinstance(step, SendNothing):
            told = self._infos.kept(wanted.url)
            return Info(told, step.source) if told else FetchRequest.of(wanted, is_here=True)
        return _request(step)


def _request(step: Step) -> FetchRequest:
    """Return the only other step that a request without a picture comes to."""
    assert isinstance(step, FetchRequest)
    return step


class InfoFetcher:
    """Has a picture brought here by `fetcher`, and its facts made; `record` hears of its hash."""

    def __init__(self, fetcher: Fetching, infos: Infos, record: Callable[[Hash], object]) -> None:
        self._fetcher = fetcher
        self._infos = infos
        self._record = record

    def fetch(self, asked: FetchRequest) -> Info:
        """Return what is known then.  Raises what loading and decoding raise."""
        step = self._fetcher.fetch(asked)
        assert isinstance(step, SendNothing)  # no picture was asked for
        told = self._infos.made(asked.url)
        self._record(Hash(told["key"], told["sha256"], told["dhash"]))
        return Info(told, step.source)
