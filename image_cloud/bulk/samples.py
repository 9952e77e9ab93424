"""What a stream says of each picture: the member `<key>.json`, and the tar's headers."""

from __future__ import annotations

import json
import tarfile
from typing import Any

from image_cloud.cluster.heard import read_change, record_of
from image_cloud.picture.record import Record
from image_cloud.process import json_file

BLOCK_BYTES = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK_BYTES)
"""Ends a stream in order: one that was cut off has none."""
MODE = 0o640
MOST_JSON_BYTES = 128 * 1024
JSON, PRIVATE, ABSENT = "json", "private", "absent"


def header(name: str, size: int, modified_s: float) -> bytes:
    """Return the header of a tar's member."""
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, int(modified_s), MODE
    return member.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")


def header_in(block: bytes) -> tarfile.TarInfo | None:
    """Return what a header says, None at the end of the tar.  Raises ValueError where it is none."""
    if not any(block):
        return None
    try:
        member = tarfile.TarInfo.frombuf(block, "utf-8", "replace")
    except tarfile.HeaderError as error:
        raise ValueError(str(error)) from None
    if member.size < 0:
        raise ValueError("an impossible size")
    return member


def padding(size: int) -> bytes:
    """Return what stands between the bytes of a member and the next header."""
    return bytes(-size % BLOCK_BYTES)


def padded(size: int) -> int:
    """Return how far the next header is behind a member's first byte."""
    return size + -size % BLOCK_BYTES


def described(record: Record, *, is_private: bool) -> bytes:
    """Return the member that tells of a picture, header and padding included."""
    told = {**vars(record), **({PRIVATE: True} if is_private else {})}
    return _json_member(record.key, told, record.stored_at)


def absent(key: str) -> bytes:
    """Return the member that says that this node does not have a picture."""
    return _json_member(key, {ABSENT: True}, 0.0)


def _json_member(key: str, content: dict[str, Any], modified_s: float) -> bytes:
    body = json.dumps(content).encode()
    return header(f"{key}.{JSON}", len(body), modified_s) + body + padding(len(body))


def read_told(body: bytes) -> dict[str, Any]:
    """Return the object that a member tells.  Raises ValueError."""
    told = json_file.parse(body)
    if not isinstance(told, dict):
        raise ValueError("not an object")
    return told


def record_in(told: dict[str, Any], key: str, source: str, now: float) -> Record:
    """Return the record that was told of the picture with `key`, checked like a feed's row.

    Raises ValueError with what is wrong.
    """
    change = read_change({**told, "deleted_at": None, "blocked": False}, now)
    if change.key != key:
        raise ValueError("a record of another picture")
    return record_of(change, source)
