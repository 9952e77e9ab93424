"""Rewrites a HEIF file with only the picture that is shown.

Decoders get no metadata, thumbnails, depth maps, tracks or further pictures to stumble over, no crop and no
turn (they come later, from the boxes), and no colour profile.  The original's bytes stand behind the new
header as they are; the items' places point into them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from image_cloud.picture.heif.items import Item, Property
from image_cloud.picture.heif.shown import Shown, is_alpha
from image_cloud.picture.heif.turns import KINDS as TURNS

KEPT = frozenset(
    {b"ispe", b"av1C", b"hvcC", b"lhvC", b"auxC", b"a1op", b"lsel", b"a1lx", b"tols", b"oinf"}
)
"""Properties that a decoder needs."""
BRANDS = {b"av01": b"avifmif1miaf", b"hvc1": b"heicmif1miaf", b"hev1": b"heicmif1miaf"}
HIDDEN = 1
WIDE_INDEX = 1


def rewritten(shown: Shown, data: bytes, coding: bytes) -> bytes:
    """Return the file `data`, all of it coded as `coding`, with a header of only what is shown."""
    brands = BRANDS[coding]
    head = _box(b"ftyp", brands[:4], bytes(4), brands)
    before = len(head) + len(_meta(shown, 0, len(data))) + 8
    return b"".join(
        [head, _meta(shown, before, len(data)), struct.pack(">I4s", 8 + len(data), b"mdat"), data]
    )


def _meta(shown: Shown, shift: int, size: int) -> bytes:
    """Return the `meta` box; what stood at 0 in a file of `size` bytes now stands at `shift`."""
    numbers = {item.number: place for place, item in enumerate(shown.items, 1)}
    handler = _full(b"hdlr", 0, 0, bytes(4), b"pict", bytes(13))
    primary = _full(b"pitm", 0, 0, _short(1))
    infos = [_info(place, item) for place, item in enumerate(shown.items, 1)]
    return _full(
        b"meta", 0, 0, handler, primary,
        _locations(shown.items, shift, size),
        _full(b"iinf", 0, 0, _short(len(infos)), *infos),
        _properties(shown.items),
        _references(shown.items, numbers),
    )  # fmt: skip


def _info(place: int, item: Item) -> bytes:
    return _full(b"infe", 2, HIDDEN if place > 1 else 0, _short(place), _short(0), item.kind, b"\0")


def _locations(items: Sequence[Item], shift: int, size: int) -> bytes:
    entries = []
    for place, item in enumerate(items, 1):
        places = [
            struct.pack(">II", shift + start, length or size - start)
            for start, length in item.extents
        ]
        entries += [_short(place), _short(0), _short(len(places)), *places]
    return _full(b"iloc", 0, 0, b"\x44\0", _short(len(items)), *entries)


def _properties(items: Sequence[Item]) -> bytes:
    """Return the properties, each once, and which item has which."""
    places: dict[Property, int] = {}
    entries = []
    for number, item in enumerate(items, 1):
        turns_apart = number == 1 or is_alpha(item)
        kept = [(one, must) for one, must in item.properties if _is_kept(one, must, turns_apart)]
        indices = [places.setdefault(one, len(places) + 1) | must << 15 for one, must in kept]
        entries += [_short(number), bytes([len(indices)]), *map(_short, indices)]
    bodies = [_box(one.kind, one.body) for one in places]
    count = struct.pack(">I", len(items))
    return _box(b"iprp", _box(b"ipco", *bodies), _full(b"ipma", 0, WIDE_INDEX, count, *entries))


def _is_kept(one: Property, essential: bool, turns_apart: bool) -> bool:
    """Tell whether a decoder needs a property, or has to know that it does not understand it."""
    if one.kind == b"colr":
        return one.body[:4] == b"nclx"
    if one.kind in TURNS:
        return not turns_apart
    return one.kind in KEPT or (essential and one.kind != b"pixi")


def _references(items: Sequence[Item], numbers: dict[int, int]) -> bytes:
    """Return what is made of what, and whose alpha is whose."""
    entries = []
    for item in items:
        for kind in (b"dimg", b"auxl" if is_alpha(item) else b"prem"):
            to = [numbers[one] for one in item.referred(kind) if one in numbers]
            if to:
                entries.append(
                    _box(kind, _short(numbers[item.number]), _short(len(to)), *map(_short, to))
                )
    return _full(b"iref", 0, 0, *entries) if entries else b""


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)


def _short(number: int) -> bytes:
    return struct.pack(">H", number)
