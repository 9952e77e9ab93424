"""The `meta` box of a HEIF file (ISO/IEC 23008-12): items, their properties, their bytes' places."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

from image_cloud.picture.heif.boxes import Box, boxes
from image_cloud.picture.malformed import Malformed

MOST_ITEMS = 8192
MOST_NUMBERS = 200_000
"""As many fields are read in all: a phone's picture of 50 megapixels has 10,000."""


class Property(NamedTuple):
    """One property box: its type and its body."""

    kind: bytes
    body: bytes


class Extent(NamedTuple):
    """A run of an item's bytes in the file; a length of 0 means up to the file's end."""

    offset: int
    length: int


@dataclasses.dataclass
class Item:
    """One item: its type, its properties in their order, where its bytes are, what it refers to.

    A property comes with whether a reader must understand it; an item without a place has no extents.
    """

    number: int
    kind: bytes = b""
    properties: list[tuple[Property, bool]] = dataclasses.field(default_factory=list)
    extents: list[Extent] = dataclasses.field(default_factory=list)
    references: list[tuple[bytes, list[int]]] = dataclasses.field(default_factory=list)

    def all_of(self, kind: bytes) -> list[bytes]:
        """Return the bodies of its properties of one type."""
        return [one.body for one, _ in self.properties if one.kind == kind]

    def referred(self, kind: bytes) -> list[int]:
        """Return the numbers of the items that it refers to in the way `kind`, in their order."""
        return [number for name, numbers in self.references if name == kind for number in numbers]


@dataclasses.dataclass
class Meta:
    """All that a `meta` box says; `items` by number."""

    primary: int = 0
    items: dict[int, Item] = dataclasses.field(default_factory=dict)

    def item(self, number: int) -> Item:
        """Return an item, a new one where nothing was said of it yet."""
        if number not in self.items and len(self.items) >= MOST_ITEMS:
            raise Malformed("too many items")
        return self.items.setdefault(number, Item(number))


class _Reader:
    """Fields one after the other out of a box's body; all readers of a `meta` box share a budget."""

    def __init__(self, data: bytes, box: Box, budget: Iterator[int]) -> None:
        self._data, self._at, self._end = data, box.start, box.end
        self._budget = budget

    def number(self, size: int) -> int:
        """Read a big-endian number of `size` bytes, 0 for none."""
        end = self._at + size
        if end > self._end or next(self._budget, None) is None:
            raise Malformed("a box ends before its content, or has too much of it")
        value = int.from_bytes(self._data[self._at : end], "big")
        self._at = end
        return value

    def version_and_flags(self) -> tuple[int, int]:
        """Read what a full box begins with."""
        both = self.number(4)
        return both >> 24, both & 0xFFFFFF

    def boxes(self) -> Iterator[tuple[bytes, _Reader]]:
        """Yield what is left as boxes: their types, and readers of their bodies."""
        for box in boxes(self._data, self._at, self._end):
            yield box.kind, _Reader(self._data, box, self._budget)

    def rest(self) -> bytes:
        """Return what is left."""
        return self._data[self._at : self._end]


def read_meta(data: bytes, start: int) -> Meta:
    """Read the `meta` box with the body `data`, which stands at `start` in the file.  Raises Malformed."""
    found: dict[bytes, Box] = {}
    for box in boxes(data, 4, len(data)):  # behind version and flags
        found.setdefault(box.kind, box)
    idat = found.get(b"idat")
    # By construction method: offsets count from the file's start, or from that of `idat`.
    origins = {0: 0, 1: start + idat.start} if idat else {0: 0}
    meta, budget = Meta(), iter(range(MOST_NUMBERS))
    for kind, read in READERS.items():
        if kind in found:
            read(meta, _Reader(data, found[kind], budget))
    if b"iloc" in found:
        _locations(meta, _Reader(data, found[b"iloc"], budget), origins)
    return meta


def _primary(meta: Meta, reader: _Reader) -> None:
    version, _ = reader.version_and_flags()
    meta.primary = reader.number(4 if version else 2)


def _infos(meta: Meta, reader: _Reader) -> None:
    version, _ = reader.version_and_flags()
    reader.number(4 if version else 2)
    for kind, inner in reader.boxes():
        version, _ = inner.version_and_flags() if kind == b"infe" else (0, 0)
        if version < 2:
            continue  # without a type: no picture
        item = meta.item(inner.number(4 if version > 2 else 2))
        inner.number(2)  # protection
        item.kind = inner.number(4).to_bytes(4, "big")


def _properties(meta: Meta, reader: _Reader) -> None:
    found: list[Property] = []
    for kind, inner in reader.boxes():
        if kind == b"ipco":
            found += [Property(name, one.rest()) for name, one in inner.boxes()]
        elif kind == b"ipma":
            _associations(meta, inner, found)


def _associations(meta: Meta, reader: _Reader, found: list[Property]) -> None:
    """Give items their properties."""
    version, flags = reader.version_and_flags()
    size = 2 if flags & 1 else 1
    essential = 0x80 << (8 * (size - 1))
    for _ in range(reader.number(4)):
        item = meta.item(reader.number(4 if version else 2))
        for _ in range(reader.number(1)):
            value = reader.number(size)
            index = value & (essential - 1)
            if index > len(found):
                raise Malformed("a property that is not there")
            if index:
                item.properties.append((found[index - 1], bool(value & essential)))


def _references(meta: Meta, reader: _Reader) -> None:
    version, _ = reader.version_and_flags()
    size = 4 if version else 2
    for kind, inner in reader.boxes():
        item = meta.item(inner.number(size))
        numbers = [inner.number(size) for _ in range(inner.number(2))]
        item.references.append((kind, numbers))


def _locations(meta: Meta, reader: _Reader, origins: dict[int, int]) -> None:
    version, _ = reader.version_and_flags()
    sizes = reader.number(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    number_size = 4 if version == 2 else 2
    for _ in range(reader.number(number_size)):
        item = meta.item(reader.number(number_size))
        method = reader.number(2) & 15 if version else 0
        reader.number(2)  # data reference: the file itself
        base = reader.number(base_size)
        for _ in range(reader.number(2)):
            reader.number(index_size)
            offset, length = base + reader.number(offset_size), reader.number(length_size)
            if method in origins:  # else within another item: nobody writes that
                item.extents.append(Extent(origins[method] + offset, length))


READERS = {b"pitm": _primary, b"iinf": _infos, b"iprp": _properties, b"iref": _references}
