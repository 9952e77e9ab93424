"""Makes variants: has them decoded, checks what comes, and keeps it.

One original is decoded once at a time on the node: who asks for another of its sizes meanwhile waits, and
finds it made along or asks next.  What was asked for is kept first; what
was made along is kept with it where it has come already, else behind the answer.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import time
from collections.abc import Iterator
from typing import BinaryIO

from image_cloud.config.sections import Resize as Settings
from image_cloud.decoding.answer import Answer, Question, ask
from image_cloud.decoding.asking import Asking, Made, Rest, Start, Turns, Variant, start_nothing
from image_cloud.decoding.check import Expected
from image_cloud.decoding.client import Decoder
from image_cloud.decoding.keeper import Keeper
from image_cloud.decoding.plan import AS_DECODED, FINE, NO_STEPS, VISITOR, Plan
from image_cloud.metrics.definitions import RESIZE_SECONDS, RESIZES
from image_cloud.metrics.outcomes import timed
from image_cloud.picture.record import Original
from image_cloud.picture.variant import LADDER, Recipe
from image_cloud.process.log_formats import current_id
from image_cloud.request.params import companions
from image_cloud.storage.failures import RESIZE, Failures
from image_cloud.storage.files import Version
from image_cloud.storage.local.arriving import Arriving
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)


class Maker:
    """Makes variants of the originals in `store` through `decoder`; for any number of threads."""

    def __init__(
        self, store: Store, failures: Failures, decoder: Decoder, turns: Turns, settings: Settings
    ) -> None:
        self._store = store
        self._failures = failures
        self._keeper = Keeper(store, failures)
        self._decoder = decoder
        self._turns = turns
        self._settings = settings

    def make(self, original: Original, recipe: Recipe, kind: int = VISITOR) -> bytes | None:
        """Make and keep a variant and its companions; return its bytes where it cannot be kept.

        Raises the picture's error, and Busy if it was deleted meanwhile or the decoder is busy.
        """
        return self.have(original, recipe, kind).data

    def have(
        self,
        original: Original,
        recipe: Recipe,
        kind: int = VISITOR,
        start: Start | None = None,
        arriving: Arriving | None = None,
    ) -> Variant:
        """Make and keep a variant unless it is there, or comes already as a companion of another one.

        `start` has its own companions kept behind the return, in another thread; without, they come before.
        The original may still be `arriving`.  Raises what `make` raises.
        """
        asking = Asking(self._store, original, recipe, arriving)
        self._keeper.check(original, arriving)
        while not (name := asking.there()):
            self._failures.check(original.key, RESIZE)
            made = self._turns.run_ahead(
                original.stem,
                lambda: self._make(asking, kind, ahead=start is not None),
                is_enough=asking.is_enough,
                look=asking.look,
                start=start or start_nothing,
            )
            if name := asking.among(made):
                return Variant(name, made[name], asking.is_new)
        return Variant(name, None, asking.is_new)

    def resize(self, data: bytes, original: Original, recipe: Recipe) -> bytes:
        """Return a variant of `data`, the bytes of an original that is on no disk."""
        self._failures.check(original.key, RESIZE)
        with (
            timed(RESIZES, RESIZE_SECONDS),
            _in_memory(data) as source,
            self._keeper.remembered(original),
        ):
            expected = Expected(original, io.BytesIO(data), self._settings)
            plan = Plan((recipe,), request_id=current_id.get())
            with ask(
                self._decoder, Question(plan, (source.fileno(),), VISITOR), expected
            ) as answer:
                return answer.first

    def _make(self, asking: Asking, kind: int, *, ahead: bool) -> tuple[Made, Rest | None]:
        """Make and keep the variant and its companions.

        `ahead` of those that have not come yet; what keeps these is returned.
        """
        original, recipe = asking.original, asking.recipe
        there = self._store.variants.names(original.stem)
        if name := asking.among(there):
            return {name: None}, None
        asking.is_new = True
        started = time.monotonic()
        with contextlib.ExitStack() as opened:
            with timed(RESIZES, RESIZE_SECONDS), self._keeper.remembered(original):
                source, version = opened.enter_context(
                    self._keeper.opened(original, asking.arriving)
                )
                there = self._store.variants.names(original.stem)
                plan = self._plan(recipe, there)
                answer = self._from_disk(original, source, plan, LADDER in there, kind)
                opened.enter_context(answer)
            files = {recipe.name_of(answer.first): answer.first}
            waits = ahead and answer.has_more()
            if not waits:
                files |= answer.rest()
            made = self._keeper.kept(original, files, version, asking.arriving)
            log.info(
                "event=resized key=%s variants=%s bytes=%d seconds=%.3f",
                original.key, ",".join(files), len(answer.first), time.monotonic() - started,
            )  # fmt: skip
            behind = opened.pop_all() if waits else None
        if behind is None:
            return made, None
        return made, lambda: self._make_along(asking, made, answer, version, behind)

    def _plan(self, recipe: Recipe, there: set[str]) -> Plan:
        """Return what to make, given the names that are there."""
        wanted = [recipe, *companions(recipe, self._settings)]
        recipes = tuple(one for one in wanted if there.isdisjoint(one.names))
        return Plan(recipes, _ladder(there), current_id.get())

    def _make_along(
        self,
        asking: Asking,
        made: Made,
        answer: Answer,
        version: Version,
        opened: contextlib.ExitStack,
    ) -> Made:
        """Keep the rest of an answer; return all that was made."""
        with opened:
            original, arriving = asking.original, asking.arriving
            return {**made, **self._keeper.kept(original, answer.rest(), version, arriving)}

    def _from_disk(
        self, original: Original, source: BinaryIO, plan: Plan, has_ladder: bool, kind: int
    ) -> Answer:
        with contextlib.ExitStack() as stack:
            descriptors = [source.fileno()]
            if has_ladder:
                with contextlib.suppress(FileNotFoundError):  # evicted meanwhile
                    path = self._store.variants.path(original.stem, LADDER)
                    descriptors.append(stack.enter_context(path.open("rb", buffering=0)).fileno())
            expected = Expected(original, source, self._settings)
            return ask(self._decoder, Question(plan, tuple(descriptors), kind), expected)


def _ladder(there: set[str]) -> str:
    """Return which ladder to make: nothing is kept of a first look.

    Most pictures are never asked for in a further size.  The second look keeps what it decodes, and the
    next one what all smaller sizes can use.
    """
    if LADDER in there:
        return FINE
    return AS_DECODED if there else NO_STEPS


@contextlib.contextmanager
def _in_memory(data: bytes) -> Iterator[BinaryIO]:
    """Give a file that holds `data`, and is on no disk."""
    with open(os.memfd_create("unstored", os.MFD_CLOEXEC), "wb+", buffering=0) as file:
        file.write(data)
        yield file
