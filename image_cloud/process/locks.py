"""Locks between all processes of the node that the kernel gives back when their holder dies.

Open-file-description locks on single bytes of an empty file: a name becomes an offset, nothing is ever
written and nothing needs cleaning.  Two `Locks` exclude each other, in one process as between two.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import os
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from image_cloud.errors import Busy, Unavailable
from image_cloud.process.closing import Closing

BYTES_PER_NAME = 4096
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.005, 0.05
RETRY_AFTER_S = 2
_FLOCK = struct.Struct("hhqqi4x")  # struct flock of 64-bit Linux: type, whence, start, length, pid
_TAKEN = (errno.EAGAIN, errno.EACCES)
_NOT_WRITABLE = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOENT)


Run = Callable[[Callable[[], Any]], Any]
"""Calls a function that touches a lock file."""


def _at_once(function: Callable[[], Any]) -> Any:
    return function()


@dataclasses.dataclass(frozen=True)
class LockFile:
    """A file that is created where it is missing.

    While its file system takes no writes, or is not mounted, `stand_in` is locked: nodes that share a
    storage have one each.  `run` does what touches the file; it raises Unavailable where that cannot be done.
    `let_go` closes it, which nobody need wait for.
    """

    path: Path
    stand_in: Path
    run: Run = _at_once
    let_go: Run = _at_once

    def open(self) -> tuple[int, Run, Run]:
        """Return a descriptor to lock, what does so, and what closes it.  Raises OSError."""
        with contextlib.suppress(Unavailable):
            try:
                return self.run(lambda: _open(self.path)), self.run, self.let_go
            except OSError as error:
                if error.errno not in _NOT_WRITABLE:
                    raise
        return _open(self.stand_in), _at_once, _at_once


def offset_of(name: str) -> int:
    """Return the first of the BYTES_PER_NAME offsets that belong to `name`."""
    import hashlib  # brings OpenSSL, of which the sampler uses nothing

    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:6], "big") * BYTES_PER_NAME


class Locks(Closing):
    """Locks on bytes of one file, held together and given back together by `close`.

    `lock_file` is created where it is missing.
    """

    def __init__(self, lock_file: str | Path | LockFile) -> None:
        if isinstance(lock_file, LockFile):
            self._descriptor, self._run, self._let_go = lock_file.open()
        else:
            self._descriptor, self._run, self._let_go = _open(lock_file), _at_once, _at_once

    def take(self, offset: int, *, shared: bool = False) -> bool:
        """Lock the byte at `offset` unless somebody else holds it; return whether it is ours."""
        kind = fcntl.F_RDLCK if shared else fcntl.F_WRLCK
        try:
            self._call(fcntl.F_OFD_SETLK, kind, offset, 1)
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            raise
        return True

    def wait(self, offset: int) -> None:
        """Lock the byte at `offset` as soon as it is free; for locks that are held briefly."""
        self._call(fcntl.F_OFD_SETLKW, fcntl.F_WRLCK, offset, 1)

    def give_back(self, offset: int) -> None:
        """Let go of the byte at `offset`."""
        self._call(fcntl.F_OFD_SETLK, fcntl.F_UNLCK, offset, 1)

    def held_by_others(self, offset: int, count: int = 1) -> bool:
        """Return whether anybody else holds any of `count` bytes from `offset`."""
        answer = self._call(fcntl.F_OFD_GETLK, fcntl.F_WRLCK, offset, count)
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)

    def count_held_by_others(self, offset: int, count: int) -> int:
        """Return how many of `count` bytes from `offset` others hold."""
        held, end = 0, offset + count
        while offset < end:
            answer = self._call(fcntl.F_OFD_GETLK, fcntl.F_WRLCK, offset, end - offset)
            kind, _, start, length, _ = _FLOCK.unpack(answer)
            if kind == fcntl.F_UNLCK:
                break
            last = min(start + length, end) if length else end
            held += last - max(start, offset)
            offset = last
        return held

    def close(self) -> None:
        """Give everything back; once more does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(Unavailable):  # it is closed once its file system answers
                self._let_go(lambda: os.close(descriptor))

    def _call(self, command: int, kind: int, offset: int, count: int) -> bytes:
        request = _FLOCK.pack(kind, os.SEEK_SET, offset, count, 0)
        answer: bytes = self._run(lambda: fcntl.fcntl(self._descriptor, command, request))
        return answer


def _open(path: str | Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextlib.contextmanager
def exclusive(lock_file: Path) -> Iterator[None]:
    """Hold `lock_file` as a whole, among all processes and threads, as soon as it is free."""
    with Locks(lock_file) as locks:
        locks.wait(0)
        yield


@contextlib.contextmanager
def locked(lock_file: str | Path | LockFile, key: str, patience_s: float) -> Iterator[None]:
    """Hold the lock of `key` (hex) among all processes.  Raises Busy after `patience_s`."""
    with lock_of(lock_file, key, patience_s):
        yield


def lock_of(
    lock_file: str | Path | LockFile,
    key: str,
    patience_s: float,
    is_needless: Callable[[], bool] = lambda: False,
) -> Locks:
    """Take the lock of `key` (hex) among all processes; it is the caller's to close.

    While another process has it, `is_needless` may end the wait; then nothing is held.  Raises Busy after
    `patience_s`.
    """
    offset = int(key[:15], 16)
    deadline, pause_s = time.monotonic() + patience_s, FIRST_PAUSE_S
    with contextlib.ExitStack() as undo:
        locks = undo.enter_context(Locks(lock_file))
        while not locks.take(offset) and not is_needless():
            if time.monotonic() >= deadline:
                raise Busy("the same picture is under way", retry_after_s=RETRY_AFTER_S)
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        undo.pop_all()
        return locks
