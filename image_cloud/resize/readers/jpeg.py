"""Rewrites a JPEG with only the segments that its pixels need."""

from __future__ import annotations

from collections.abc import Collection

from image_cloud.picture.structure.data import Data
from image_cloud.picture.structure.jpeg import Segment
from image_cloud.resize import jpeg_scans
from image_cloud.resize.jpeg_scans import END, Outline, Scan
from image_cloud.resize.readers import exif

START = b"\xff\xd8"
APP0, APP1, APP2, APP14 = 0xE0, 0xE1, 0xE2, 0xEE
JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
JFIF_MARK, LEAST_JFIF_BYTES = b"JFIF\0", 14
ADOBE_MARK, ADOBE_BYTES = b"Adobe", 12
ICC_MARK, ICC_HEAD_BYTES = b"ICC_PROFILE\0", 14


def rewritten(
    data: Data, found: Outline, left_out: Collection[Scan] = (), *, ends: bool = True
) -> bytes:
    """Return the JPEG without its side segments and the scans `left_out`; with an end marker if it `ends`."""
    starts = {scan.start for scan in left_out}
    view = memoryview(data)
    needed = [view[one.start : one.end] for one in found.needed if one.start not in starts]
    zeros = jpeg_scans.zeros(found, left_out) if left_out else b""
    return b"".join([START, _colours(data, found), *needed, zeros, END if ends else b""])


def orientation(data: Data, found: Outline) -> int:
    """Return the orientation that the first EXIF segment tells."""
    bodies = _bodies(data, found, APP1, exif.MARK)
    return exif.orientation(bodies[0]) if bodies else exif.UPRIGHT


def profile(data: Data, found: Outline) -> bytes:
    """Return the ICC profile; empty where there is none, or not all parts of it."""
    parts: dict[int, bytes] = {}
    count = 0
    for body in _bodies(data, found, APP2, ICC_MARK):
        if len(body) > ICC_HEAD_BYTES:
            number, count = body[12], count or body[13]
            parts.setdefault(number, body[ICC_HEAD_BYTES:])
    wanted = range(1, count + 1)
    return b"".join(parts[number] for number in wanted) if set(wanted) <= parts.keys() else b""


def _colours(data: Data, found: Outline) -> bytes:
    """Return the segments that tell which colours the components are, as far as libjpeg heeds them."""
    is_jfif = any(len(body) >= LEAST_JFIF_BYTES for body in _bodies(data, found, APP0, JFIF_MARK))
    adobe = [body for body in _bodies(data, found, APP14, ADOBE_MARK) if len(body) >= ADOBE_BYTES]
    told = b"\xff\xee\0\x0e" + adobe[-1][:ADOBE_BYTES] if adobe else b""
    return (JFIF if is_jfif else b"") + told


def _bodies(data: Data, found: Outline, marker: int, mark: bytes) -> list[bytes]:
    """Return the bodies of the application segments that begin with `mark`."""
    return [
        data[one.body : one.end]
        for one in found.applications
        if _is_marked(data, one, marker, mark)
    ]


def _is_marked(data: Data, segment: Segment, marker: int, mark: bytes) -> bool:
    return segment.marker == marker and data[segment.body : segment.body + len(mark)] == mark
