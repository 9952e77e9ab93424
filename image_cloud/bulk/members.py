"""Reads tars as any tool writes them, GNU's and pax's long names included, in bounded memory."""

from __future__ import annotations

import dataclasses
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from image_cloud.bulk.samples import BLOCK_BYTES, header_in, padded

PIECE_BYTES = 256 * 1024
MOST_NAME_BYTES = 64 * 1024
REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
WITHOUT_DATA = (
    tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE,
)  # fmt: skip
"""Whatever size their headers say, as tar and Python's tarfile read them."""


class NotTar(ValueError):
    """The file is no tar, or ends in the middle."""


@dataclasses.dataclass(frozen=True)
class Member:
    """A file in a tar, with what is still to be read of it."""

    name: str
    size: int
    modified_s: float
    pieces: Iterator[bytes]

    @property
    def sample(self) -> str:
        """Return what the files of one picture have in common: the path up to the name's first dot."""
        folder, slash, name = self.name.rpartition("/")
        return folder + slash + name.partition(".")[0]

    @property
    def kind(self) -> str:
        """Return the extension, in lower case."""
        return self.name.rpartition("/")[2].partition(".")[2].lower()


def members(file: BinaryIO) -> Iterator[Member]:
    """Yield the files of a tar, as any tool writes it.  Raises NotTar."""
    name, size = "", None
    while header := _next_header(file):
        if header.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE):
            content = b"".join(_pieces(file, _bounded(header.size)))
            if header.type == tarfile.XHDTYPE:
                told = _pax(content)
                name, size = told.get("path", name), _size_in(told)
            else:
                name = content.rstrip(b"\0").decode("utf-8", "replace")
            continue
        length = header.size if size is None else size
        if header.type in WITHOUT_DATA:
            length = 0
        pieces = _pieces(file, length)
        if header.type in REGULAR:
            yield Member((name or header.name).removeprefix("./"), length, header.mtime, pieces)
        for _ in pieces:
            pass
        name, size = "", None


def _next_header(file: BinaryIO) -> tarfile.TarInfo | None:
    block = _read(file, BLOCK_BYTES)
    try:
        return header_in(block)
    except ValueError as error:
        raise NotTar(f"not a tar: {error}") from None


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    left = size
    while left:
        piece = _read(file, min(left, PIECE_BYTES))
        left -= len(piece)
        yield piece
    _read(file, padded(size) - size)


def _read(file: BinaryIO, count: int) -> bytes:
    content = file.read(count)
    if len(content) < count:
        raise NotTar("the tar ends in the middle")
    return content


def _bounded(size: int) -> int:
    if not 0 <= size <= MOST_NAME_BYTES:
        raise NotTar("not a tar: a header of impossible size")
    return size


def _pax(content: bytes) -> dict[str, str]:
    """Return the records of a pax header.  Raises NotTar."""
    told = {}
    try:
        while content:
            length = int(content[: content.index(b" ")])
            line, content = content[:length], content[length:]
            name, _, value = line.partition(b" ")[2].partition(b"=")
            told[name.decode()] = value.removesuffix(b"\n").decode("utf-8", "replace")
            if length <= 0:
                raise ValueError
    except ValueError:
        raise NotTar("not a tar: a malformed header") from None
    return told


def _size_in(told: dict[str, str]) -> int | None:
    said = told.get("size")
    if said is None:
        return None
    if not (said.isascii() and said.isdigit() and len(said) < 16):
        raise NotTar("not a tar: a malformed header")
    return int(said)
