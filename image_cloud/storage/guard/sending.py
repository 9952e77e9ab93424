"""Originals that a pool sends in nginx's place, as their storage may not answer."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from image_cloud.errors import Busy, NotLocal
from image_cloud.picture.headers.entity_tag import NANOSECONDS, tag_of
from image_cloud.picture.record import PRIVATE, Original
from image_cloud.picture.variant import EXTENSIONS
from image_cloud.storage.files import Version, pieces_of
from image_cloud.storage.local.copies import Copies
from image_cloud.storage.store import Store

NAME = re.compile(rf"([0-9a-f]{{64}})({re.escape(PRIVATE)})?\.({'|'.join(EXTENSIONS.values())})")


@dataclasses.dataclass(frozen=True)
class Sending:
    """An original that is open; `pieces` are its bytes."""

    extension: str
    version: Version
    pieces: Iterator[bytes]

    @property
    def tag(self) -> str:
        """Return its entity tag."""
        return tag_of(self.version.modified_ns, self.version.bytes)

    @property
    def modified_s(self) -> int:
        """Return when it was stored, seconds since 1970."""
        return self.version.modified_ns // NANOSECONDS


class Sender:
    """Opens originals of `store` by the names of their files, or their `copies`."""

    def __init__(self, store: Store, copies: Copies) -> None:
        self._store = store
        self._copies = copies

    def open(self, name: str, copy: str = "") -> Sending:
        """Return the original whose file has that name, or its `copy` where that is still good.

        Raises NotLocal, Busy, StorageUnavailable.
        """
        named = NAME.fullmatch(name)
        if named is None:
            raise NotLocal()
        original = Original(named[1], named[3], is_private=bool(named[2]))
        file = self._copies.open(copy)
        pieces = pieces_of(file) if file else self._store.originals.pieces(original)
        try:
            version, first = next(pieces)
        except FileNotFoundError:
            raise Busy("the picture was deleted meanwhile", retry_after_s=1) from None
        return Sending(original.extension, version, _all(first, pieces))


def _all(first: bytes, rest: Iterator[tuple[Version, bytes]]) -> Iterator[bytes]:
    yield first
    for _, piece in rest:
        yield piece
