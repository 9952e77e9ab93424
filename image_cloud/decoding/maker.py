"""Makes variants: has them decoded, checks what comes, and keeps it.

One original is decoded once at a time on the node: who asks for another of its sizes meanwhile waits, and
finds it made along or asks next.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, Protocol, TypeVar

from image_cloud.config.sections import Resize as Settings
from image_cloud.decoding import frames
from image_cloud.decoding.check import Expected
from image_cloud.decoding.client import Decoder, Exchange
from image_cloud.decoding.plan import AS_DECODED, FINE, NO_STEPS, VISITOR, Plan
from image_cloud.errors import Busy, DecoderAway, ImageCloudError
from image_cloud.picture.record import Original
from image_cloud.picture.variant import LADDER, Recipe
from image_cloud.process.log_formats import current_id
from image_cloud.request.params import companions
from image_cloud.storage.failures import RESIZE, Failures
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)

Made = Mapping[str, bytes | None]
"""The variants that were made, by name: None where it is kept, else its bytes."""
T = TypeVar("T")


class Turns(Protocol):
    """Runs one piece of work per key at a time; the others get its result (image_cloud.fetch.flights)."""

    def run(self, key: str, work: Callable[[], Made]) -> Made:
        """Return what `work`, or the one under way for `key`, returns."""


class Maker:
    """Makes variants of the originals in `store` through `decoder`; for any number of threads."""

    def __init__(
        self, store: Store, failures: Failures, decoder: Decoder, turns: Turns, settings: Settings
    ) -> None:
        self._store = store
        self._failures = failures
        self._decoder = decoder
        self._turns = turns
        self._settings = settings

    def make(self, original: Original, recipe: Recipe, kind: int = VISITOR) -> bytes | None:
        """Make and keep a variant, unless it is there; return its bytes where it cannot be kept.

        Raises the picture's error, and Busy if it was deleted meanwhile or the decoder is busy.
        """
        while not self._store.variants.has(original.stem, recipe.name):
            self._failures.check(original.key, RESIZE)
            made = self._turns.run(original.stem, lambda: self._make(original, recipe, kind))
            if recipe.name in made:
                return made[recipe.name]
        return None

    def resize(self, data: bytes, original: Original, recipe: Recipe) -> bytes:
        """Return a variant of `data`, the bytes of an original that is on no disk."""
        self._failures.check(original.key, RESIZE)
        with _in_memory(data) as source, self._remembered(original):
            expected = Expected(original, io.BytesIO(data), self._settings)
            plan = Plan((recipe,), request_id=current_id.get())
            files = self._decoded(plan, [source.fileno()], expected, VISITOR)
        return files[recipe.name]

    def _make(self, original: Original, recipe: Recipe, kind: int) -> Made:
        """Make and keep the variant and its companions."""
        there = self._store.variants.names(original.stem)
        if recipe.name in there:
            return {recipe.name: None}
        wanted = [recipe, *companions(recipe, self._settings)]
        recipes = tuple(one for one in wanted if one.name not in there)
        started = time.monotonic()
        with self._remembered(original), self._opened(original) as source:
            plan = Plan(recipes, _ladder(there), current_id.get())
            files = self._from_disk(original, source, plan, LADDER in there, kind)
            version = os.fstat(source.fileno())
        log.info(
            "event=resized key=%s variants=%s bytes=%d seconds=%.3f",
            original.key, ",".join(files), len(files[recipe.name]), time.monotonic() - started,
        )  # fmt: skip
        return self._kept(original, files, (version.st_ino, version.st_size))

    def _from_disk(
        self, original: Original, source: BinaryIO, plan: Plan, has_ladder: bool, kind: int
    ) -> dict[str, bytes]:
        with contextlib.ExitStack() as stack:
            descriptors = [source.fileno()]
            if has_ladder:
                with contextlib.suppress(FileNotFoundError):  # evicted meanwhile
                    path = self._store.variants.path(original.stem, LADDER)
                    descriptors.append(stack.enter_context(path.open("rb")).fileno())
            return self._decoded(
                plan, descriptors, Expected(original, source, self._settings), kind
            )

    def _decoded(
        self, plan: Plan, descriptors: list[int], expected: Expected, kind: int
    ) -> dict[str, bytes]:
        """Return the plan's files; a daemon that went away meanwhile is asked once more."""
        try:
            with self._decoder.ask(plan, descriptors, kind, is_large=expected.is_large) as exchange:
                return _received(exchange, plan, expected)
        except DecoderAway:
            with self._decoder.ask(plan, descriptors, kind, is_large=expected.is_large) as exchange:
                return _received(exchange, plan, expected)

    @contextlib.contextmanager
    def _remembered(self, original: Original) -> Iterator[None]:
        """Remember what is wrong with the picture."""
        try:
            yield
        except ImageCloudError as error:
            self._failures.remember(original.key, error, RESIZE)
            raise

    @contextlib.contextmanager
    def _opened(self, original: Original) -> Iterator[BinaryIO]:
        try:
            file = self._store.originals.path(original).open("rb")
        except FileNotFoundError:
            raise Busy("the picture was deleted meanwhile", retry_after_s=1) from None
        with file:
            yield file

    def _kept(self, original: Original, files: dict[str, bytes], version: tuple[int, int]) -> Made:
        """Store the files as far as that works, unless the original they are of has changed."""
        kept = self._keep(original, files)
        if kept and self._store.originals.version(original) != version:
            for name in kept:  # deleted or replaced meanwhile
                self._store.variants.remove_one(original.stem, name)
            kept = []
        return {name: None if name in kept else content for name, content in files.items()}

    def _keep(self, original: Original, files: dict[str, bytes]) -> list[str]:
        """Store the files as far as that works; return their names.  A full disk is for originals."""
        if not self._store.space.has_room():
            return []
        failed = self._store.variants.keep(original.stem, files)
        for error in failed.values():
            key, reason = original.key, error.strerror
            log.warning("event=variant_not_stored key=%s reason=%r", key, reason)
        return [name for name in files if name not in failed]


def _ladder(there: set[str]) -> str:
    """Return which ladder to make: nothing is kept of a first look.

    Most pictures are never asked for in a further size.  The second look keeps what it decodes, and the
    next one what all smaller sizes can use.
    """
    if LADDER in there:
        return FINE
    return AS_DECODED if there else NO_STEPS


def _received(exchange: Exchange, plan: Plan, expected: Expected) -> dict[str, bytes]:
    """Read and judge the answer: the variants in the plan's order, perhaps a ladder, the end.

    Whatever goes wrong behind the first, which was asked for, costs only the rest.
    """
    files = {plan.recipes[0].name: _variant(exchange, plan.recipes[0], expected)}
    try:
        for recipe in plan.recipes[1:]:
            files[recipe.name] = _variant(exchange, recipe, expected)
        kind, content = exchange.read(expected.most_ladder_bytes())
        if kind == frames.LADDER and plan.ladder != NO_STEPS:
            if reason := expected.why_wrong_ladder(content):
                raise exchange.refuse(reason)
            files[LADDER] = content
    except ImageCloudError as error:
        log.warning("event=not_made_along code=%s", error.code)
    return files


def _variant(exchange: Exchange, recipe: Recipe, expected: Expected) -> bytes:
    kind, content = exchange.read(expected.most_bytes(recipe))
    reason = (
        f"a frame of kind {kind}" if kind != frames.VARIANT else expected.why_wrong(content, recipe)
    )
    if reason:
        raise exchange.refuse(reason)
    return content


@contextlib.contextmanager
def _in_memory(data: bytes) -> Iterator[BinaryIO]:
    """Give a file that holds `data`, and is on no disk."""
    with open(os.memfd_create("unstored", os.MFD_CLOEXEC), "wb+", buffering=0) as file:
        file.write(data)
        yield file
