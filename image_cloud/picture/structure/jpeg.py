"""The segments of a JPEG, found as libjpeg finds them, and a little more patiently."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from image_cloud.picture.malformed import CutOff, Malformed
from image_cloud.picture.structure.data import Data, Size, number

MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # neither stuffing, fill nor restart
SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
ALONE = frozenset({0x01, SOI, EOI})
"""Markers that are nothing but a marker."""
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDD})
"""What decoding needs besides frames and scans: DHT, DAC, DQT, DRI."""
NEEDED = FRAMES | TABLES | {SOS}
MOST_SEGMENTS = 10_000
MOST_REPAIRS, MOST_CANDIDATES, LONGEST_CHAIN = 4, 100, 32
LONGEST_SEGMENT = 0xFFFF + 2


class Segment(NamedTuple):
    """A marker, where its FF stands, and where the segment's body starts and ends."""

    marker: int
    start: int
    body: int
    end: int


def segments(data: Data) -> Iterator[Segment]:
    """Yield the segments up to EOI or to where the file ends; scans' data lie between them.

    Raises Malformed where there are too many.
    """
    at, repairs = 2, MOST_REPAIRS
    for _ in range(MOST_SEGMENTS):
        segment = _segment(data, at)
        if segment is None:
            return
        is_side = segment.marker not in NEEDED and segment.marker not in ALONE
        if is_side and repairs and not _is_marker(data, segment.end):
            repairs -= 1
            segment = segment._replace(end=_repaired_end(data, segment))
        yield segment
        if segment.marker == EOI:
            return
        at = segment.end
    raise Malformed("too many segments")


def size_of(data: Data) -> Size:
    """Return width and height as the last frame header before the first scan has them."""
    size = None
    for segment in segments(data):
        if segment.marker in FRAMES:
            size = frame_size(data, segment)
        if segment.marker == SOS:
            break
    if size is None:
        raise CutOff
    return size


def frame_size(data: Data, frame: Segment) -> Size:
    """Return width and height of a frame header."""
    return number(data, frame.body + 3, 2), number(data, frame.body + 1, 2)


def find_end(data: Data) -> None:
    """Find the end marker behind the first scan's header; one before it is an EXIF thumbnail's."""
    scan = next((one.end for one in segments(data) if one.marker == SOS), len(data))
    if not has_end(data, scan):
        raise CutOff


def has_end(data: Data, scan: int) -> bool:
    """Tell whether an end marker stands anywhere behind the offset `scan`."""
    at_end = data[-2:] == b"\xff\xd9" and len(data) - 2 >= scan
    return at_end or data.rfind(b"\xff\xd9", scan) >= 0


def _segment(data: Data, at: int) -> Segment | None:
    hit = MARKER.search(data, at)
    if hit is None:
        return None
    marker, behind = data[hit.start() + 1], hit.end()
    if marker in ALONE:
        return Segment(marker, hit.start(), behind, behind)
    body = min(behind + 2, len(data))
    length = int.from_bytes(data[behind:body], "big")
    return Segment(marker, hit.start(), body, min(max(behind + length, body), len(data)))


# --- lengths that are wrong ----------------------------------------------------------------------


def _is_marker(data: Data, at: int) -> bool:
    following = data[at : at + 2]
    return len(following) == 2 and following[0] == 0xFF and following[1] > 0


def _repaired_end(data: Data, segment: Segment) -> int:
    """Return where a side segment ends whose length leads to no marker.

    That is where segments begin that lead to one that is needed; but not those of a JPEG within, like
    an EXIF thumbnail.  Where there are none, it is behind such a JPEG, or where its length says.
    """
    is_within, end = False, segment.end
    hits = MARKER.finditer(data, segment.body, segment.body + LONGEST_SEGMENT)
    for hit, _ in zip(hits, range(MOST_CANDIDATES), strict=False):
        marker = data[hit.start() + 1]
        if marker in (SOI, EOI):
            is_within, end = marker == SOI, max(end, hit.end())
        elif not is_within and _leads_on(data, hit.start()):
            return hit.start()
    return len(data) if is_within else end


def _leads_on(data: Data, at: int) -> bool:
    """Tell whether a chain of segments that starts here leads to one that is needed, and on from it."""
    for _ in range(LONGEST_CHAIN):
        segment = _segment(data, at) if _is_marker(data, at) else None
        if segment is None or segment.start != at or data[at + 2 : segment.body] < b"\0\2":
            return False
        if segment.marker == SOS or (segment.marker in NEEDED and _is_marker(data, segment.end)):
            return True
        at = segment.end
    return False
