"""Has the facts of pictures made: once, by the decoder, and kept beside the variants."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import BinaryIO, Protocol

from image_cloud.config.sections import Resize as Settings
from image_cloud.decoding import frames
from image_cloud.decoding.check import Expected
from image_cloud.decoding.client import Decoder
from image_cloud.decoding.keeper import Keeper
from image_cloud.decoding.plan import VISITOR, Plan
from image_cloud.errors import DecoderAway
from image_cloud.picture import facts
from image_cloud.picture.facts import Facts
from image_cloud.picture.record import Original
from image_cloud.process.log_formats import current_id
from image_cloud.storage.failures import RESIZE, Failures
from image_cloud.storage.files import Version
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)


class Turns(Protocol):
    """Runs one piece of work per key at a time; the others get its result (image_cloud.fetch.flights)."""

    def run(self, key: str, work: Callable[[], Facts]) -> Facts:
        """Return the result of `work`, or of the one under way for `key`."""


class FactsMaker:
    """Makes facts of the originals in `store` through `decoder`; for any number of threads."""

    def __init__(
        self, store: Store, failures: Failures, decoder: Decoder, turns: Turns, settings: Settings
    ) -> None:
        self._store = store
        self._failures = failures
        self._keeper = Keeper(store, failures)
        self._decoder = decoder
        self._turns = turns
        self._settings = settings

    def kept(self, original: Original) -> Facts | None:
        """Return the facts that are kept, None where they have to be made.  Raises Busy if it was deleted."""
        self._keeper.check(original)
        return self._store.variants.facts(original.stem)

    def have(self, original: Original) -> Facts:
        """Return the facts, made and kept unless they are.

        Raises the picture's error, and Busy if it was deleted meanwhile or the decoder is busy.
        """
        found = self.kept(original)
        return found or self._turns.run(original.stem, lambda: self._have_alone(original))

    def make(self, original: Original, kind: int) -> Facts:
        """Return the facts, made unless they are kept, for a request of the class `kind`; keep nothing."""
        return self.kept(original) or self._make(original, kind)[0]

    def _have_alone(self, original: Original) -> Facts:
        if found := self.kept(original):  # another process has made them
            return found
        started = time.monotonic()
        made, version = self._make(original, VISITOR)
        self._keeper.kept(original, {facts.FILE: made.written()}, version)
        log.info("event=facts_made key=%s seconds=%.3f", original.key, time.monotonic() - started)
        return made

    def _make(self, original: Original, kind: int) -> tuple[Facts, Version]:
        self._failures.check(original.key, RESIZE)
        with self._keeper.remembered(original), self._keeper.opened(original) as (source, version):
            expected = Expected(original, source, self._settings)
            try:
                made = self._ask(source, kind, expected)
            except DecoderAway:  # it is started again at once
                made = self._ask(source, kind, expected)
            return made, version

    def _ask(self, source: BinaryIO, kind: int, expected: Expected) -> Facts:
        plan, files = Plan(request_id=current_id.get()), (source.fileno(),)
        with self._decoder.ask(plan, files, kind, is_large=expected.is_large) as exchange:
            came, content = exchange.read(facts.MOST_BYTES)
            if came != frames.FACTS:
                raise exchange.refuse(f"a frame of kind {came}")
            try:
                made = Facts.read(content)
            except ValueError as error:
                raise exchange.refuse(str(error)) from None
            if reason := expected.why_wrong_facts(made):
                raise exchange.refuse(reason)
            return made
