"""One URL of the queue: download it, make its thumbnails, and say what became of it."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable

from daemons.prefetch.giving_up import failure
from daemons.prefetch.thumbnails import Thumbnails
from image_cloud.config.sections import Prefetch as Settings
from image_cloud.db.prefetch.outcomes import Outcome
from image_cloud.db.prefetch.queue import Claimed
from image_cloud.errors import (
    DecoderDied,
    DecodeTimeout,
    DeletedMeanwhile,
    ImageCloudError,
    OriginFailed,
    OriginPaused,
    OriginStatus,
    OriginTimeout,
    TruncatedImage,
    Unavailable,
)
from image_cloud.fetch import purpose
from image_cloud.fetch.load import Cache, Found
from image_cloud.fetch.purpose import Keep, Purpose
from image_cloud.picture.url import Url
from image_cloud.politeness.breaker import Domains
from image_cloud.politeness.slots import Slot
from image_cloud.process.log_formats import NO_ID, current_id
from image_cloud.refresh.refresher import Refresher
from image_cloud.storage.tombstones import Tombstones

log = logging.getLogger(__name__)

POSTPONE_S = 1.0
AFTER_MEMORY_S = 0.05  # a remembered failure is over a moment after its time
MOST_NAMED = 3
TRIED_AGAIN_STATUS = (408, 425, 429)


class Job:
    """Does the work for the daemon's threads.

    Downloads through `cache` what `tombstones` do not forbid, and has `refresher` ask again for what is
    old; `domains` says which domains are dead.  Pictures are kept as `keep` says.
    """

    def __init__(
        self,
        cache: Cache,
        refresher: Refresher,
        tombstones: Tombstones,
        thumbnails: Thumbnails,
        domains: Domains,
        settings: Settings,
        keep: Keep,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._cache = cache
        self._refresher = refresher
        self._tombstones = tombstones
        self._thumbnails = thumbnails
        self._domains = domains
        self._settings = settings
        self._keep = keep
        self._jitter = jitter

    def work(self, claimed: Claimed, slot: Slot) -> Outcome:
        """Return what became of `claimed`; gives `slot` back as soon as the download is over."""
        current_id.set(_identity(claimed.batches))
        try:
            try:
                if self._is_withdrawn(claimed):
                    error = DeletedMeanwhile("deleted after it was asked for")
                    return Outcome(claimed.key, claimed.url, code=error.code, detail=error.detail)
                found = self._load(claimed, purpose.prefetch(slot, self._keep))
            finally:
                slot.give_back()
            if found:
                self._thumbnails.make(found.original, claimed.thumbnails)
        except OriginPaused as error:
            return self._paused(claimed, error)
        except ImageCloudError as error:
            return self._outcome(claimed, error)
        except Exception as error:
            log.exception("event=prefetch_unexpected key=%s", claimed.key)
            return self._outcome(claimed, ImageCloudError(type(error).__name__))
        return Outcome(claimed.key, claimed.url, made=claimed.thumbnails)

    def _load(self, claimed: Claimed, asker: Purpose) -> Found | None:
        """Bring the picture here, and see to it that it is as young as it has to be.

        What no batch wants is not fetched for the first time: None.  Raises what keeps it from that.
        """
        url = Url.parse(claimed.url)
        if claimed.max_age_s is not None:
            look = self._refresher.look(url, claimed.max_age_s, asker)
            if look.error:
                raise look.error
        return None if claimed.is_unasked else self._cache.load(url, asker)

    def _is_withdrawn(self, claimed: Claimed) -> bool:
        """Say whether it was deleted since a batch last asked for it."""
        tombstone = self._tombstones.find(claimed.key)
        return tombstone is not None and tombstone.deleted_at >= claimed.asked_at

    def _paused(self, claimed: Claimed, error: OriginPaused) -> Outcome:
        """Postpone `claimed`, or give it up where the domain that it needs is dead.

        It may be another domain than its own, to which that redirects.  For its own one it waits in
        the queue, as long as the pause lasts.
        """
        trouble = self._domains.trouble(error.domain)
        if trouble and trouble.is_dead(self._settings.give_up_after, time.time()):
            log.info("event=prefetch_gave_up domain=%s urls=1 code=%s", error.domain, trouble.code)
            return failure(claimed.key, claimed.url, trouble)
        if error.domain == claimed.domain:
            error.retry_after_s = None
        return self._outcome(claimed, error)

    def _outcome(self, claimed: Claimed, error: ImageCloudError) -> Outcome:
        wait_s: float | None
        if isinstance(error, Unavailable):
            wait_s, tries = self._jittered(max(POSTPONE_S, error.retry_after_s or 0.0)), 0
        elif claimed.is_unasked:
            return Outcome(claimed.key, claimed.url)  # it is asked for once more when it is due
        elif not is_worth_another_try(error) or claimed.tries + 1 >= self._settings.tries:
            wait_s, tries = None, 1
        else:
            wait_s, tries = self._backoff_s(claimed.tries, error), 1
        log.info(
            "event=prefetch_%s key=%s domain=%s code=%s tries=%d wait_s=%s",
            "failed" if wait_s is None else "postponed" if not tries else "retry",
            claimed.key, claimed.domain, error.code, claimed.tries + tries,
            None if wait_s is None else round(wait_s, 1),
        )  # fmt: skip
        return Outcome(
            claimed.key,
            claimed.url,
            code=error.code,
            detail=error.detail,
            wait_s=wait_s,
            tries=tries,
        )

    def _backoff_s(self, tries: int, error: ImageCloudError) -> float:
        """Wait longer each time, and no shorter than others on the node remember the failure."""
        growing_s = min(
            self._settings.first_wait * 2 ** min(tries, 30), self._settings.longest_wait
        )
        return max(self._jittered(growing_s), error.remembered_s + AFTER_MEMORY_S)

    def _jittered(self, seconds: float) -> float:
        return seconds * self._jitter(1 - self._settings.jitter, 1 + self._settings.jitter)


def _identity(batches: tuple[str, ...]) -> str:
    """Return what marks the log lines of a URL that these batches want: one may be wanted by very many."""
    more = len(batches) - MOST_NAMED
    named = ",".join(batches[:MOST_NAMED]) or NO_ID
    return f"{named},+{more}" if more > 0 else named


def is_worth_another_try(error: ImageCloudError) -> bool:
    """Say whether the same URL may give a picture later: a 404 or a text page will not.

    A decoder that died may have been killed for another reason than the picture.
    """
    if isinstance(error, OriginStatus):
        status = error.upstream_status or 0
        return status >= 500 or status in TRIED_AGAIN_STATUS
    again = (
        OriginFailed, OriginTimeout, TruncatedImage, DecodeTimeout, DecoderDied, Unavailable,
    )  # fmt: skip
    return isinstance(error, again) or type(error) is ImageCloudError
