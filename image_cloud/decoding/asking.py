"""Asking for variants: what is made at a time, for whom, and what each of them gets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Container, Mapping
from typing import Protocol

from image_cloud.picture.record import Original
from image_cloud.picture.variant import Recipe
from image_cloud.storage.local.arriving import Arriving
from image_cloud.storage.store import Store

Made = Mapping[str, bytes | None]
"""The variants that were made, by name: None where it is kept, else its bytes."""
Rest = Callable[[], Made]
"""Makes what is left, and returns all that was made."""
Job = Callable[[], None]
Start = Callable[[Job], bool]
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

    name: str
    data: bytes | None
    is_new: bool


class Asking:
    """One who asks for a variant of an original that is here, or `arriving`, and perhaps waits for it.

    `is_new` is as in Variant.
    """

    def __init__(
        self, store: Store, original: Original, recipe: Recipe, arriving: Arriving | None
    ) -> None:
        self.original = original
        self.recipe = recipe
        self.arriving = arriving
        self.is_new = False
        self._store = store

    def there(self) -> str:
        """Return the name that it has on disk, nothing where it is not there."""
        return self._store.variants.find(self.original.stem, self.recipe)

    def look(self) -> Made | None:
        """Return it as made where it is on disk."""
        name = self.there()
        return {name: None} if name else None

    def among(self, made: Container[str]) -> str:
        """Return the name that it has among those of variants, nothing where it is not one of them."""
        return next((name for name in self.recipe.names if name in made), "")

    def is_enough(self, made: Made) -> bool:
        """Say whether it was made before its companions."""
        self.is_new = bool(self.among(made))
        return self.is_new


def start_nothing(_job: Callable[[], None]) -> bool:
    """Leave each job to who wants it started."""
    return False
