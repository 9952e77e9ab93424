"""Entity tags: made of a picture's bytes alone, so that the same bytes have the same tag on every node.

A stored file carries its part of the tag in the nanoseconds of its modification time, where nginx finds it
without reading the file (nginx/lua/hot_path.lua); the seconds are Last-Modified.
"""

from __future__ import annotations

NANOSECONDS = 10**9


def nanoseconds_of(sha256: str) -> int:
    """Return what stands for the bytes with this SHA-256 (hex).

    Never 0: so a file shows whose file system keeps no nanoseconds.
    """
    return 1 + int(sha256[:16], 16) % (NANOSECONDS - 1)


def modified_ns(seconds: float, sha256: str) -> int:
    """Return the modification time of a file with these bytes, nanoseconds since 1970."""
    return int(seconds) * NANOSECONDS + nanoseconds_of(sha256)


def entity_tag(sha256: str, count_bytes: int) -> str:
    """Return the value of the ETag header."""
    return tag_of(nanoseconds_of(sha256), count_bytes)


def tag_of(modified_ns: int, count_bytes: int) -> str:
    """Return the value for a file of that modification time, nanoseconds since 1970.

    Where the file system keeps no nanoseconds the seconds must do (nginx/lua/hot_path.lua).
    """
    part = modified_ns % NANOSECONDS or modified_ns // NANOSECONDS
    return f'"{part:08x}-{count_bytes & 0xFFFFFFFF:08x}"'
