"""The first frame of an image sequence's tracks (`moov` box), as if it were an item."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator

from image_cloud.picture.heif.boxes import Box, boxes
from image_cloud.picture.heif.items import Extent, Item, Meta, Property
from image_cloud.picture.malformed import Malformed

MOST_TRACKS, MOST_TRACK_BOXES, MOST_DEPTH = 16, 1000, 4
SAMPLE_ENTRY_BYTES = 78
ALPHA = b"\0\0\0\0urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"
PICTURES, AUXILIARY = b"pict", b"auxv"


def read_tracks(data: bytes) -> tuple[Meta, int]:
    """Return the first frame, with its alpha where there is any, and how many frames there are.

    `data` is the body of the `moov` box.  Raises Malformed.
    """
    tracks = [box for box in boxes(data, 0, len(data)) if box.kind == b"trak"][:MOST_TRACKS]
    found = [track for track in map(_Track, [data] * len(tracks), tracks) if track.is_usable]
    shown = next((track for track in found if track.handler == PICTURES), None)
    if shown is None:
        raise Malformed("no track of pictures")
    meta = Meta(shown.number, {shown.number: shown.item()})
    for track in found:
        if track.handler == AUXILIARY and shown.number in track.auxiliary_of:
            meta.items[track.number] = track.item()
    return meta, shown.frames


class _Track:
    """What counts of one `trak` box."""

    def __init__(self, data: bytes, box: Box) -> None:
        self._data = data
        inner = itertools.islice(_descendants(data, box, MOST_DEPTH), MOST_TRACK_BOXES)
        self._boxes = {one.kind: one for one in inner}
        self.is_usable = all(
            kind in self._boxes for kind in (b"tkhd", b"hdlr", b"stsd", b"stsz")
        ) and bool(self._boxes.keys() & {b"stco", b"co64"})
        if self.is_usable:
            self.number = self._at(b"tkhd", ">I", 20 if self._version(b"tkhd") else 12)
            self.handler = data[self._boxes[b"hdlr"].start + 8 :][:4]
            self.frames = self._at(b"stsz", ">I", 8)

    @property
    def auxiliary_of(self) -> list[int]:
        """Return the numbers of the tracks that this one belongs to."""
        box = self._boxes.get(b"auxl", Box(b"auxl", 0, 0))
        body = self._data[box.start : box.end]
        return [number for (number,) in struct.iter_unpack(">I", body[: len(body) // 4 * 4])]

    def item(self) -> Item:
        """Return the first frame as an item with this track's number."""
        stsd = self._boxes[b"stsd"]
        entry = next(boxes(self._data, stsd.start + 8, stsd.end), None)
        if entry is None:
            raise Malformed("a track without a sample entry")
        width, height = struct.unpack_from(">HH", self._data, entry.start + 24)
        size = Property(b"ispe", struct.pack(">III", 0, width, height))
        inner = boxes(self._data, entry.start + SAMPLE_ENTRY_BYTES, entry.end)
        properties = [Property(one.kind, self._data[one.start : one.end]) for one in inner]
        item = Item(self.number, entry.kind, [(one, False) for one in [size, *properties]])
        if self.handler == AUXILIARY:
            kind = next(iter(item.all_of(b"auxi")), ALPHA)
            item.properties.append((Property(b"auxC", kind), True))
            item.references.append((b"auxl", self.auxiliary_of))
        item.extents.append(self._first_frame())
        return item

    def _first_frame(self) -> Extent:
        length = self._at(b"stsz", ">I", 4) or self._at(b"stsz", ">I", 12)
        form, kind = (">I", b"stco") if b"stco" in self._boxes else (">Q", b"co64")
        return Extent(self._at(kind, form, 8), length)

    def _version(self, kind: bytes) -> int:
        return self._data[self._boxes[kind].start]

    def _at(self, kind: bytes, form: str, offset: int) -> int:
        (value,) = struct.unpack_from(form, self._data, self._boxes[kind].start + offset)
        return int(value)


def _descendants(data: bytes, box: Box, depth: int) -> Iterator[Box]:
    """Yield the boxes in a track, with those of the boxes that only hold others."""
    for inner in boxes(data, box.start, box.end):
        yield inner
        if depth and inner.kind in (b"mdia", b"minf", b"stbl", b"tref"):
            yield from _descendants(data, inner, depth - 1)
