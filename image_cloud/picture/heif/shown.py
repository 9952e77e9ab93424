"""Which of a HEIF file's items is shown, how large it is, and which others it is made of."""

from __future__ import annotations

import dataclasses
import struct
from typing import BinaryIO

from image_cloud.picture.heif import turns
from image_cloud.picture.heif.boxes import Box, body_of, top_boxes
from image_cloud.picture.heif.items import Item, Meta, Property, read_meta
from image_cloud.picture.heif.tracks import read_tracks
from image_cloud.picture.malformed import CutOff, Malformed

CODED = {
    b"av01": "AV1", b"hvc1": "HEVC", b"hev1": "HEVC", b"lhv1": "layered HEVC", b"avc1": "H.264",
    b"vvc1": "VVC", b"evc1": "EVC", b"jpeg": "JPEG", b"j2k1": "JPEG 2000", b"unci": "uncompressed samples",
}  # fmt: skip
"""Items that are coded themselves, and in what."""
SAME_AS_FIRST = frozenset({b"iden", b"tmap"})
"""Items that show the first item that they are made of; of a tone map that is the picture without it."""
MOST_DEPTH = 4
ALPHA = (
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1",
    b"urn:mpeg:avc:2015:auxid:1",
)  # fmt: skip
AVIF_ORDER = (b"clap", b"irot", b"imir")
"""In AVIF the order is fixed, and browsers keep to it whatever the file says; elsewhere the file's counts."""
ANIMATED = frozenset({b"avis"})
"""Brands of files whose track is shown although there is an item as well."""

Size = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Shown:
    """The picture that a file shows.

    `items` are all that it takes to decode it, the shown one first; `coded_size` is its size before
    it is cut and turned; `pixels` are those of all its parts, as often as each is drawn.
    """

    items: list[Item]
    coded_size: Size
    turns: turns.Turns
    pixels: int
    frames: int = 1

    @property
    def size(self) -> Size:
        """Return width and height as they are shown."""
        return self.turns.size

    @property
    def codings(self) -> set[bytes]:
        """Return the types of the coded items."""
        return {item.kind for item in self.items if item.kind in CODED}

    def is_here(self, file_size: int) -> bool:
        """Tell whether all bytes that it takes lie within the file."""
        return all(
            extent.offset + max(extent.length, 1) <= file_size
            for item in self.items
            for extent in item.extents
        )


def read(file: BinaryIO, size: int) -> Shown:
    """Return what a HEIF file of `size` bytes shows.  Raises Malformed; the file's position is lost."""
    try:
        meta, frames = _contents(file, size)
        return _shown(meta, frames)
    except (struct.error, IndexError, RecursionError) as error:
        raise Malformed("the boxes do not parse") from error


def _contents(file: BinaryIO, size: int) -> tuple[Meta, int]:
    """Return the items, the first frame's of an animation, and the number of frames."""
    found: dict[bytes, Box] = {}
    for box in top_boxes(file, size):
        found.setdefault(box.kind, box)
    if not found.keys() & {b"meta", b"moov"}:
        raise CutOff("the headers are not there")
    brand = body_of(file, found[b"ftyp"])[:4] if b"ftyp" in found else b""
    meta = _meta(file, found[b"meta"]) if b"meta" in found else Meta()
    is_still = meta.primary in meta.items and brand not in ANIMATED
    if b"moov" in found and not is_still:
        return read_tracks(body_of(file, found[b"moov"]))
    return meta, 1


def _meta(file: BinaryIO, box: Box) -> Meta:
    return read_meta(body_of(file, box), box.start)


def _shown(meta: Meta, frames: int) -> Shown:
    primary, transforms = _primary(meta)
    parts = _Parts(meta)
    pixels = parts.add(primary)
    items = list(parts.found.values())
    if any(item.kind == b"av01" for item in items):
        transforms.sort(key=lambda one: AVIF_ORDER.index(one.kind))
    size = size_of(primary)
    return Shown(items, size, turns.read(size, transforms), pixels, frames)


def _primary(meta: Meta) -> tuple[Item, list[Property]]:
    """Return the item that is shown and how it is cut and turned, by itself and by what only repeats it."""
    item = _item(meta, meta.primary)
    transforms: list[Property] = []
    for _ in range(MOST_DEPTH):
        transforms = [one for one, _ in item.properties if one.kind in turns.KINDS] + transforms
        if item.kind not in SAME_AS_FIRST:
            return item, transforms
        item = _item(meta, next(iter(item.referred(b"dimg")), 0))
    raise Malformed("pictures made of pictures without end")


def _item(meta: Meta, number: int) -> Item:
    if number not in meta.items:
        raise Malformed("an item that is not there")
    return meta.items[number]


class _Parts:
    """Collects the items that a picture is made of."""

    def __init__(self, meta: Meta) -> None:
        self._meta = meta
        self._alpha: dict[int, list[Item]] = {}
        for item in meta.items.values():
            if is_alpha(item):
                for number in item.referred(b"auxl"):
                    self._alpha.setdefault(number, []).append(item)
        self._pixels: dict[int, int] = {}
        self.found: dict[int, Item] = {}

    def add(self, item: Item) -> int:
        """Add an item with all that it takes; return the pixels that are decoded for it."""
        number = item.number
        if number not in self._pixels:
            if number in self.found:
                raise Malformed("a picture made of itself")
            self.found[number] = item
            below = [] if item.kind in CODED else item.referred(b"dimg")
            parts = [_item(self._meta, one) for one in below] + self._alpha.get(number, [])
            width, height = size_of(item)
            self._pixels[number] = width * height + sum(map(self.add, parts))
        return self._pixels[number]


def is_alpha(item: Item) -> bool:
    """Tell whether an item is another's alpha."""
    return any(body[4:].partition(b"\0")[0] in ALPHA for body in item.all_of(b"auxC"))


def size_of(item: Item) -> Size:
    """Return an item's size as it is coded."""
    body = next(iter(item.all_of(b"ispe")), b"")
    width, height = struct.unpack(">II", body[4:12]) if len(body) >= 12 else (0, 0)
    if not width or not height:
        raise Malformed("a picture without a size")
    return width, height
