"""Asking for variants: what is made at a time, for whom, and what each of them gets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Protocol

from image_cloud.picture.record import Original
from image_cloud.picture.variant import Recipe
from image_cloud.storage.store import Store

Made = Mapping[str, bytes | None]
"""The variants that were made, by name: None where it is kept, else its bytes."""
Rest = Callable[[], Made]
"""Makes what is left, and returns all that was made."""
Start = Callable[[Callable[[], None]], bool]
"""Starts a job in another thread, and says whether it did."""


class Turns(Protocol):
    """Runs one piece of work per key at a time; the others get its result (image_cloud.fetch.flights)."""

    def run_ahead(
        self,
        key: str,
        work: Callable[[], tuple[Made, Rest | None]],
        *,
        is_enough: Callable[[Made], bool],
        look: Callable[[], Made | None],
        start: Start,
    ) -> Made:
        """Return the first result of `work`, or of the one under way for `key`; `start` does its rest."""


@dataclasses.dataclass(frozen=True)
class Variant:
    """A variant that is kept, or its bytes in `data`; `is_new` where it was made because it was asked for."""

    data: bytes | None
    is_new: bool


class Asking:
    """One who asks for a variant, and perhaps waits for it; `is_new` is as in Variant."""

    def __init__(self, store: Store, original: Original, recipe: Recipe) -> None:
        self.original = original
        self.recipe = recipe
        self.is_new = False
        self._store = store

    def is_there(self) -> bool:
        """Say whether it is on disk."""
        return self._store.variants.has(self.original.stem, self.recipe.name)

    def look(self) -> Made | None:
        """Return it as made where it is on disk."""
        return {self.recipe.name: None} if self.is_there() else None

    def is_enough(self, made: Made) -> bool:
        """Say whether it was made before its companions."""
        self.is_new = self.recipe.name in made
        return self.is_new


def start_nothing(_job: Callable[[], None]) -> bool:
    """Leave each job to who wants it started."""
    return False
