"""What the daemon makes of each outcome: done, failed, tried again, or put off."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest

from daemons.prefetch.job import Job
from image_cloud.config.sections import Prefetch
from image_cloud.db.prefetch.intake import NO_BATCH
from image_cloud.db.prefetch.queue import Claimed
from image_cloud.errors import (
    Blocked,
    Busy,
    CorruptImage,
    DecoderDied,
    ImageCloudError,
    NotAnImage,
    OriginNotFound,
    OriginPaused,
    OriginReset,
    OriginStatus,
    OriginTimeout,
    StorageUnavailable,
    TruncatedImage,
    UrlForbidden,
)
from image_cloud.fetch.load import Found
from image_cloud.fetch.purpose import Keep, Purpose, prefetch
from image_cloud.picture.record import Original, Tombstone
from image_cloud.picture.url import Url
from image_cloud.politeness.trouble import Trouble
from image_cloud.refresh.refresher import UNCHANGED, Look

ASKED_AT = 1000.0

SETTINGS = Prefetch(tries=3, first_wait=10, longest_wait=15, jitter=0, give_up_after=100)


class Slot:
    given_back = False

    def give_back(self) -> None:
        self.given_back = True


class Cache:
    """Finds, or raises."""

    def __init__(self, slot: Slot, error: Exception | None = None) -> None:
        self.slot, self.error = slot, error

    def load(self, url: Url, purpose: Purpose) -> Found:
        assert purpose == prefetch(self.slot, Keep.STORED)
        if self.error:
            raise self.error
        return Found(Original("k", "jpg"), "MISS")


class Thumbnails:
    def __init__(self, slot: Slot, error: Exception | None = None) -> None:
        self.slot, self.error = slot, error

    def make(self, original: Original, sizes: tuple[int, ...]) -> None:
        assert self.slot.given_back, "a thumbnail must not keep a shop's slot"
        if self.error:
            raise self.error


class Tombstones:
    def __init__(self, deleted_at: float | None) -> None:
        self.deleted_at = deleted_at

    def find(self, key: str) -> Tombstone | None:
        return None if self.deleted_at is None else Tombstone(key, "http://a/", self.deleted_at)


class Domains:
    """Knows of one trouble at most."""

    def __init__(self, trouble: Trouble | None) -> None:
        self.known = trouble

    def trouble(self, domain: str) -> Trouble | None:
        return self.known if self.known and self.known.domain == domain else None


class Refresher:
    def __init__(self, look: Look | None) -> None:
        self._look = look

    def look(self, _url: Url, max_age_s: float, _purpose: Any) -> Look:
        assert self._look
        assert max_age_s == 60.0
        return self._look


def outcome(
    error: Exception | None = None,
    tries: int = 0,
    later: Exception | None = None,
    deleted_at: float | None = None,
    trouble: Trouble | None = None,
    check: Look | None = None,
    is_unasked: bool = False,
) -> Any:
    slot: Any = Slot()
    cache: Any = Cache(slot, error)
    thumbnails: Any = Thumbnails(slot, later)
    tombstones: Any = Tombstones(deleted_at)
    domains: Any = Domains(trouble)
    refresher: Any = Refresher(check)
    job = Job(
        cache, refresher, tombstones, thumbnails, domains, SETTINGS, Keep.STORED,
        jitter=lambda low, high: 1.0,
    )  # fmt: skip
    batches = (NO_BATCH if is_unasked else "b",)
    max_age_s = None if check is None else 60.0
    claimed = Claimed("k", "http://a/", "a", (100,), tries, ASKED_AT, batches, max_age_s)
    found = job.work(claimed, slot)
    assert slot.given_back
    return found


def test_done() -> None:
    assert (outcome().code, outcome().made) == ("", (100,))


def test_a_batch_that_wants_young_pictures_hears_why_one_is_old() -> None:
    assert outcome(check=UNCHANGED).code == ""
    assert outcome(check=Look(error=OriginNotFound())).code == "origin_not_found"
    assert outcome(check=Look(error=OriginReset())).wait_s == 10


def test_of_a_picture_that_no_batch_wants_nothing_is_made_and_no_failure_told() -> None:
    never = AssertionError("it was fetched")
    found = outcome(never, later=never, check=UNCHANGED, is_unasked=True)
    assert (found.code, found.wait_s) == ("", None)
    for error in (OriginNotFound(), OriginReset()):
        found = outcome(never, check=Look(error=error), is_unasked=True)
        assert (found.code, found.wait_s) == ("", None)
    assert outcome(check=Look(error=Busy()), is_unasked=True).wait_s is not None


@pytest.mark.parametrize("error", [
    OriginNotFound(), NotAnImage(), CorruptImage(), UrlForbidden(), Blocked(),
    OriginStatus(upstream_status=403),
])  # fmt: skip
def test_what_will_not_change_fails_at_once(error: ImageCloudError) -> None:
    for found in (outcome(error), outcome(later=error)):
        assert (found.code, found.wait_s) == (error.code, None)


@pytest.mark.parametrize("error", [
    OriginReset(), OriginTimeout(), TruncatedImage(), OriginStatus(upstream_status=500),
    OriginStatus(upstream_status=429), DecoderDied(),
])  # fmt: skip
def test_what_may_pass_is_tried_again_with_growing_waits(error: ImageCloudError) -> None:
    waits = [outcome(error, tries) for tries in range(3)]
    assert [one.wait_s for one in waits] == [10, 15, None]
    assert [one.tries for one in waits] == [1, 1, 1]


def test_a_remembered_failure_is_waited_for() -> None:
    error = OriginReset()
    error.remembered_s = 600
    assert outcome(error).wait_s == pytest.approx(600.05)


def test_what_was_deleted_since_it_was_asked_for_is_not_fetched() -> None:
    found = outcome(deleted_at=ASKED_AT)
    assert (found.code, found.wait_s) == ("deleted_meanwhile", None)
    assert outcome(deleted_at=ASKED_AT - 1).code == ""


@pytest.mark.parametrize("error", [Busy(), OriginPaused(retry_after_s=7), StorageUnavailable()])
def test_what_is_not_the_urls_fault_uses_no_try_up(error: ImageCloudError) -> None:
    found = outcome(error, tries=2)
    assert (found.tries, found.wait_s) == (0, max(1.0, error.retry_after_s or 0))


def test_a_pause_of_its_own_domain_is_waited_for_in_the_queue() -> None:
    assert outcome(OriginPaused(retry_after_s=600, domain="a")).wait_s == 1
    assert outcome(OriginPaused(retry_after_s=600, domain="cdn")).wait_s == 600


def test_where_it_leads_to_a_dead_domain_it_fails_with_that_ones_reason() -> None:
    now = time.time()
    dead = Trouble("cdn/81", until=now + 60, code="origin_reset", detail="gone", since=now - 100)
    paused = OriginPaused(retry_after_s=600, domain="cdn/81")
    found = outcome(paused, trouble=dead)
    assert (found.code, found.wait_s) == ("origin_reset", None)
    assert found.detail.startswith("cdn has answered nothing useful since 20")
    for alive in (
        dataclasses.replace(dead, since=now - 50),
        dataclasses.replace(dead, until=now - 1),
    ):
        assert outcome(paused, trouble=alive).wait_s == 600


def test_the_unexpected_is_tried_again_and_then_fails() -> None:
    assert outcome(RuntimeError()).wait_s == 10
    assert outcome(RuntimeError(), tries=2).wait_s is None
