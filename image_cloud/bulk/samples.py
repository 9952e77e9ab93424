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
    block, modified_s = bytearray(_BLANK), int(modified_s)
    if len(name) > _MOST_NAME or min(size, modified_s) < 0 or max(size, modified_s) > _MOST_OCTAL:
        return _header(name, size, modified_s)
    block[: len(name)] = name.encode("ascii")
    block[_SIZE] = b"%011o\0" % size
    block[_MODIFIED] = b"%011o\0" % modified_s
    block[_CHECKSUM] = b"%06o\0 " % (sum(block) + _OF_SPACES)
    return bytes(block)


def _header(name: str, size: int, modified_s: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, modified_s, MODE
    return member.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")


# tarfile takes five times as long for a header: with two for each picture as long as its bytes take.
_SIZE, _MODIFIED, _CHECKSUM = slice(124, 136), slice(136, 148), slice(148, 156)
_KIND, _PREFIX = slice(156, 157), slice(345, 346)
_MOST_NAME, _MOST_OCTAL = 100, 0o77777777777
_OF_SPACES = 8 * ord(" ")  # the checksum counts itself as so many
_BLANK = bytearray(_header("", 0, 0))
_BLANK[_CHECKSUM] = bytes(8)


def header_in(block: bytes) -> tarfile.TarInfo | None:
    """Return what a header says, None at the end of the tar.  Raises ValueError where it is none.

    Of a file with a short name that is its name, size and time.
    """
    if not any(block):
        return None
    member = _plain(block) or _any(block)
    if member.size < 0:
        raise ValueError("an impossible size")
    return member


def _plain(block: bytes) -> tarfile.TarInfo | None:
    """Return what a header as `header` writes it says, None where it is another."""
    if block[_KIND] != tarfile.REGTYPE or block[_PREFIX] != b"\0" or len(block) != BLOCK_BYTES:
        return None
    try:
        size, modified, checksum = (
            int(block[field].rstrip(b" \0"), 8) for field in (_SIZE, _MODIFIED, _CHECKSUM)
        )
    except ValueError:
        return None
    if checksum != sum(block) - sum(block[_CHECKSUM]) + _OF_SPACES:
        return None
    name = block[:_MOST_NAME].partition(b"\0")[0]
    member = tarfile.TarInfo(name.decode("utf-8", "replace"))
    member.size, member.mtime = size, modified
    return member


def _any(block: bytes) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "replace")
    except tarfile.HeaderError as error:
        raise ValueError(str(error)) from None


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
