"""Small JSON files that processes keep their state in: replaced whole, read without trust.

`read` takes nothing for granted, since anything may lie where these files do: whatever is
not a small regular file with a value of the expected kind counts as missing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from image_cloud.process.typed import fit

T = TypeVar("T")

DEFAULT_MODE = 0o640
MOST_BYTES = 1 << 20
MOST_DIGITS = 19
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.new")
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def write(
    path: str | Path,
    content: object,
    *,
    mode: int = DEFAULT_MODE,
    durable: bool = False,
    indent: int | None = None,
) -> None:
    """Replace the file at `path`; a reader sees the old content or the new, never a part.

    `content` is JSON or made of dataclasses.  A `durable` file has its bytes on the disk before its name.
    A file that root writes belongs to the owner of the one before, or of the folder.
    Raises OSError; then the old file is still there.
    """
    text = json.dumps(content, default=dataclasses.asdict, allow_nan=False, indent=indent)
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.urandom(8).hex()}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            _hand_over(file.fileno(), path)
            os.fchmod(file.fileno(), mode)
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _hand_over(descriptor: int, path: str | Path) -> None:
    if os.geteuid() == 0:
        try:
            owner = os.lstat(path)
        except FileNotFoundError:
            owner = os.stat(os.path.dirname(path) or ".")
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def is_temporary(name: str) -> bool:
    """Return whether `name` is a file being written; an old one was left by a process that died."""
    return _TEMPORARY.fullmatch(name) is not None


def read(path: str | Path, kind: type[T], most_bytes: int = MOST_BYTES) -> T | None:
    """Return what the file at `path` holds; None where it is missing, broken or of another kind.

    `kind` is what `typed.fit` knows.
    """
    try:
        return read_strictly(path, kind, most_bytes)
    except (OSError, ValueError):
        return None


def read_strictly(path: str | Path, kind: type[T], most_bytes: int = MOST_BYTES) -> T:
    """Return what the file at `path` holds.  Raises OSError, and ValueError for one of another kind."""
    return fit(kind, parse(_content(path, most_bytes)))


def load(path: str | Path, kind: type[T]) -> T:
    """Return what an operator's file holds; any size, links allowed.  Raises OSError, ValueError."""
    return fit(kind, parse(Path(path).read_bytes()))


def _content(path: str | Path, most_bytes: int) -> bytes:
    """Read a small regular file.  Raises OSError, ValueError; neither waits nor reads anything else."""
    descriptor = os.open(path, _FLAGS)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > most_bytes:
            raise ValueError("not a small regular file")
        # Not `most_bytes`: so much memory would be mapped, and unmapped again, for each of these files.
        return os.read(descriptor, status.st_size)
    finally:
        os.close(descriptor)


def parse(content: bytes) -> Any:
    """Return the JSON value in `content`.  Raises ValueError, also for NaN, infinite and huge numbers."""
    try:
        return _DECODER.decode(content.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_pairs(text: str, make: Callable[[list[tuple[str, Any]]], Any]) -> Any:
    """Return the JSON value in a person's `text`, each object made of its pairs by `make`.

    Raises ValueError that says where the text is broken, and repeats nothing of it.
    """
    try:
        return json.loads(text, object_pairs_hook=make)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number that is not finite")
    return number


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError("a number of too many digits")
    return int(text)


_DECODER = json.JSONDecoder(parse_float=_number, parse_int=_whole, parse_constant=_number)
