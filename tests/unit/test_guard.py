"""Errors of the storage, and its silence."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from image_cloud.errors import Blocked, StorageUnavailable
from image_cloud.picture.key import fan_out, key_of
from image_cloud.process.locks import LockFile, Locks
from image_cloud.storage.guard.guarded import Guard, guarded
from image_cloud.storage.guard.pulse import PATIENCE_S, VALID_S, Pulse
from image_cloud.storage.guard.trouble import TROUBLE
from image_cloud.storage.store import Store
from tests.clock import Clock
from tests.storage import new_store

URL = "http://shop.example/a.jpg"
DEADLINE_S = 10.0


def fails_with(number: int) -> Callable[[], None]:
    def fail() -> None:
        raise OSError(number, os.strerror(number))

    return fail


class Silent(Pulse):
    """A pulse that a test stops."""

    def __init__(self) -> None:
        self.error: StorageUnavailable | None = None

    def check(self) -> None:
        if self.error:
            raise self.error


@pytest.fixture(params=[None, Silent()], ids=["near", "far"])
def guard(request: pytest.FixtureRequest) -> Guard:
    return Guard(request.param)


@pytest.mark.parametrize("number", sorted(TROUBLE))
def test_trouble_is_the_storages(guard: Guard, number: int) -> None:
    with pytest.raises(StorageUnavailable, match=os.strerror(number)) as caught:
        guard.run(fails_with(number))
    assert caught.value.retry_after_s


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_other_errors_are_the_callers(guard: Guard, number: int) -> None:
    with pytest.raises(OSError, match=os.strerror(number)):
        guard.run(fails_with(number))
    assert guard.ask("none", fails_with(number)) == "none"


def test_what_is_raised_and_returned_comes_through(guard: Guard) -> None:
    def refuse() -> None:
        raise Blocked

    assert guard.run(lambda a, b: a + b, 1, b=2) == 3
    with pytest.raises(Blocked):
        guard.run(refuse)


def test_nobody_waits_for_a_storage_that_fell_silent() -> None:
    pulse, never = Silent(), threading.Event()
    guard = Guard(pulse)
    threading.Timer(0.1, lambda: setattr(pulse, "error", StorageUnavailable("silent"))).start()
    began = time.monotonic()
    with pytest.raises(StorageUnavailable, match="silent"):
        guard.run(never.wait)
    with pytest.raises(StorageUnavailable, match="silent"):
        guard.run(lambda: pytest.fail("it was touched"))
    assert time.monotonic() - began < DEADLINE_S
    never.set()


def test_each_piece_of_what_is_iterated_is_guarded() -> None:
    class Pieces:
        def all(self) -> Iterator[int]:
            yield 1
            raise OSError(errno.EIO, "broken")

    pieces = guarded(Pieces(), Guard()).all()
    assert next(pieces) == 1
    with pytest.raises(StorageUnavailable):
        next(pieces)


def said_by(pulse: Pulse) -> str:
    """Return what is wrong, nothing where all is well."""
    try:
        pulse.check()
    except StorageUnavailable as error:
        return error.detail
    return ""


def await_saying(pulse: Pulse, clock: Clock, words: str) -> None:
    """Let time pass for `pulse` until it says so."""
    deadline = time.monotonic() + DEADLINE_S
    while said_by(pulse) != words:
        assert time.monotonic() < deadline, f"it never said: {words}"
        clock.now += VALID_S + 0.1
        time.sleep(0.01)


def test_a_pulse_finds_what_is_not_mounted(tmp_path: Path) -> None:
    clock = Clock(1000.0)
    pulse = Pulse(tmp_path / "storage", clock)
    await_saying(pulse, clock, "storage: is not there")
    new_store(tmp_path / "storage")
    await_saying(pulse, clock, "")


def test_a_pulse_that_gets_no_answer_says_so(tmp_path: Path) -> None:
    clock, answers = Clock(1000.0), threading.Event()

    class Slow(Pulse):
        def _look(self) -> None:
            answers.wait(DEADLINE_S)
            super()._look()

    pulse = Slow(new_store(tmp_path / "storage").root, clock)
    pulse.check()
    clock.now += PATIENCE_S + 0.1
    with pytest.raises(StorageUnavailable, match="does not answer"):
        pulse.check()
    answers.set()
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline and any(one.name == "pulse" for one in threading.enumerate()):
        time.sleep(0.01)
    pulse.check()


def test_locks_are_taken_on_this_node_while_the_storage_is_away(tmp_path: Path) -> None:
    pulse = Silent()
    pulse.error = StorageUnavailable("silent")
    file = LockFile(tmp_path / "far", tmp_path / "near", Guard(pulse).run)
    with Locks(file) as one, Locks(file) as other:
        assert one.take(0)
        assert not other.take(0)
    assert not (tmp_path / "far").exists()


def test_a_lock_is_given_back_though_the_storage_fell_silent(tmp_path: Path) -> None:
    """Closing a file is a request, too."""
    pulse = Silent()
    file = LockFile(tmp_path / "far", tmp_path / "near", Guard(pulse).run)
    with Locks(file) as locks:
        assert locks.take(0)
        pulse.error = StorageUnavailable("silent")


def test_a_guarded_store_finds_and_reads(tmp_path: Path) -> None:
    new_store(tmp_path)
    store = Store.at(tmp_path, guard=Guard(Silent()))
    key = key_of(URL)
    assert store.originals.find(key) is None
    assert store.tombstones.find(key) is None
    folder = tmp_path / "originals" / fan_out(key)
    folder.mkdir(parents=True)
    (folder / f"{key}.jpg").write_bytes(b"x")
    original = store.originals.find(key)
    assert original
    assert [piece for _, piece in store.originals.pieces(original)] == [b"x"]
