"""HEIF files put together by hand, box by box, around what the codecs wrote for a picture."""

from __future__ import annotations

import dataclasses
import io
import struct
from collections.abc import Sequence

from PIL import Image

from image_cloud.resize.heif import codecs

codecs.load()
PIL_NAMES = {"avif": codecs.PIL_NAMES[b"av01"], "heic": codecs.PIL_NAMES[b"hvc1"]}
KINDS = {"avif": b"av01", "heic": b"hvc1"}
BRANDS = {"avif": b"avifmif1miaf", "heic": b"heicmif1miaf"}
ALPHA = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"
CODED = frozenset({b"av1C", b"hvcC", b"ispe", b"colr"})
ESSENTIAL = frozenset({b"av1C", b"hvcC", b"clap", b"irot", b"imir"})


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def short(number: int) -> bytes:
    return struct.pack(">H", number)


def size(width: int, height: int) -> bytes:
    return full(b"ispe", struct.pack(">II", width, height))


def rotation(quarters: int) -> bytes:
    return box(b"irot", bytes([quarters]))


def mirror(mode: int) -> bytes:
    return box(b"imir", bytes([mode]))


def aperture(width: int, height: int, across: int = 0, down: int = 0, parts: int = 1) -> bytes:
    """Cut `width` x `height` out, its centre moved by `across` and `down` in 1/`parts` pixels."""
    return box(b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, across, parts, down, parts))


def numbered_colours(primaries: int, transfer: int, matrix: int = 6) -> bytes:
    return box(b"colr", b"nclx", struct.pack(">HHHB", primaries, transfer, matrix, 0x80))


def profile(icc: bytes) -> bytes:
    return box(b"colr", b"prof", icc)


def alpha_kind() -> bytes:
    return full(b"auxC", ALPHA)


def grid_of(columns: int, rows: int, width: int, height: int) -> bytes:
    """Return the data of a `grid` item."""
    return struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, width, height)


@dataclasses.dataclass
class Part:
    """One item: its type, data, property boxes, and references as (kind, numbers)."""

    kind: bytes
    data: bytes = b""
    properties: list[bytes] = dataclasses.field(default_factory=list)
    references: list[tuple[bytes, Sequence[int]]] = dataclasses.field(default_factory=list)
    hidden: bool = False


def coded(image: Image.Image, name: str, *more: bytes, **options: object) -> Part:
    """Return a picture as one item, with further property boxes."""
    whole = encoded(image, name, **options)
    properties = [one for one in _inner(whole, b"ipco") if one[4:8] in CODED]
    at = whole.index(b"mdat") + 4
    return Part(KINDS[name], whole[at:], [*properties, *more])


def encoded(image: Image.Image, name: str, **options: object) -> bytes:
    """Return a picture as the codecs write it."""
    target = io.BytesIO()
    image.save(target, PIL_NAMES[name], **options)
    return target.getvalue()


def heif(
    parts: Sequence[Part],
    name: str = "avif",
    *,
    primary: int = 1,
    brands: bytes = b"",
    inside: bool = False,
) -> bytes:
    """Return a file of these items, numbered from 1; their data stand `inside` the headers or behind."""
    brands = brands or BRANDS[name]
    head = box(b"ftyp", brands[:4], bytes(4), brands)
    data = [part.data for part in parts]
    if inside:
        return head + _meta(parts, primary, 0, box(b"idat", *data))
    start = len(head) + len(_meta(parts, primary, 0)) + 8
    return head + _meta(parts, primary, start) + box(b"mdat", *data)


def sequence(
    frames: Sequence[Part], name: str, brands: bytes = b"", alpha: Part | None = None
) -> bytes:
    """Return an image sequence: tracks alone, no items."""
    brands = brands or {"avif": b"avismsf1", "heic": b"hevcmsf1"}[name]
    head = box(b"ftyp", brands[:4], bytes(4), brands)
    data = [frame.data for frame in frames] + ([alpha.data] if alpha else [])
    start = len(head) + len(_movie(frames, alpha, 0)) + 8
    return head + _movie(frames, alpha, start) + box(b"mdat", *data)


def _movie(frames: Sequence[Part], alpha: Part | None, start: int) -> bytes:
    tracks = [_track(1, b"pict", frames, start)]
    if alpha:
        after = start + sum(len(frame.data) for frame in frames)
        tracks.append(
            _track(2, b"auxv", [alpha], after, box(b"tref", box(b"auxl", struct.pack(">I", 1))))
        )
    return box(b"moov", full(b"mvhd", bytes(96)), *tracks)


def _track(
    number: int, handler: bytes, frames: Sequence[Part], start: int, more: bytes = b""
) -> bytes:
    dimensions = next(one for one in frames[0].properties if one[4:8] == b"ispe")[12:20]
    width, height = struct.unpack(">II", dimensions)
    entry = box(
        frames[0].kind, bytes(6), short(1), bytes(16), short(width), short(height), bytes(50),
        *frames[0].properties,
    )  # fmt: skip
    lengths = [struct.pack(">I", len(frame.data)) for frame in frames]
    table = box(
        b"stbl",
        full(b"stsd", struct.pack(">I", 1), entry),
        full(b"stsz", bytes(4), struct.pack(">I", len(frames)), *lengths),
        full(b"stco", struct.pack(">II", 1, start)),
    )
    media = box(b"mdia", full(b"hdlr", bytes(4), handler, bytes(13)), box(b"minf", table))
    return box(b"trak", full(b"tkhd", bytes(8), struct.pack(">I", number), bytes(68)), more, media)


def _meta(parts: Sequence[Part], primary: int, start: int, idat: bytes = b"") -> bytes:
    infos, references = [], []
    for number, part in enumerate(parts, 1):
        flags = int(part.hidden)
        infos.append(
            full(b"infe", short(number), short(0), part.kind, b"\0", version=2, flags=flags)
        )
        references += [
            box(kind, short(number), short(len(to)), *map(short, to))
            for kind, to in part.references
        ]
    return full(
        b"meta",
        full(b"hdlr", bytes(4), b"pict", bytes(13)),
        full(b"pitm", short(primary)),
        _places(parts, start, method=1 if idat else 0),
        full(b"iinf", short(len(parts)), *infos),
        _properties(parts),
        *([full(b"iref", *references)] if references else []),
        idat,
    )


def _places(parts: Sequence[Part], start: int, method: int) -> bytes:
    entries = []
    for number, part in enumerate(parts, 1):
        extent = struct.pack(">II", start, len(part.data))
        entries.append(short(number) + short(method) + short(0) + short(1) + extent)
        start += len(part.data)
    return full(b"iloc", b"\x44\0", short(len(parts)), *entries, version=1)


def _properties(parts: Sequence[Part]) -> bytes:
    boxes: list[bytes] = []
    entries = []
    for number, part in enumerate(parts, 1):
        indices = []
        for one in part.properties:
            if one not in boxes:
                boxes.append(one)
            indices.append(boxes.index(one) + 1 | (one[4:8] in ESSENTIAL) << 15)
        entries += [short(number), bytes([len(indices)]), *map(short, indices)]
    count = struct.pack(">I", len(parts))
    return box(b"iprp", box(b"ipco", *boxes), full(b"ipma", count, *entries, flags=1))


def _inner(data: bytes, kind: bytes) -> list[bytes]:
    """Return the boxes within the first box of a kind."""
    at = data.index(kind) - 4
    end, found = at + int.from_bytes(data[at : at + 4], "big"), []
    at += 8
    while at < end:
        length = int.from_bytes(data[at : at + 4], "big")
        found.append(data[at : at + length])
        at += length
    return found
