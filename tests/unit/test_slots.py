"""Slots: never more than there are, users first, free again when the holder dies."""

import os
import signal
import threading
from pathlib import Path

import pytest

from image_cloud.errors import Busy
from image_cloud.politeness.limits import Domain
from image_cloud.politeness.slots import Slots

TWO = Domain("a.example", "a.example", 2)


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    return Slots(tmp_path / "slots")


def test_no_more_than_there_are(slots: Slots) -> None:
    first, second = slots.try_one(TWO), slots.try_one(TWO)
    assert first
    assert second
    assert slots.try_one(TWO) is None
    assert slots.try_one(Domain("b.example", "b.example", 1))
    with pytest.raises(Busy) as caught:
        slots.wait(TWO, 0.05, urgent=True)
    assert caught.value.retry_after_s
    first.give_back()
    first.give_back()
    assert slots.try_one(TWO)
    assert slots.try_one(TWO) is None


def test_servers_of_one_domain_share_its_slots(slots: Slots) -> None:
    one = Domain("a.example", "a.example", 1)
    held = slots.try_one(one)
    assert held
    assert slots.try_one(Domain("a.example/8080", "a.example", 1)) is None


def test_after_a_limit_shrank_nothing_starts_before_enough_has_ended(slots: Slots) -> None:
    held = [slots.try_one(TWO) for _ in range(2)]
    one = Domain("a.example", "a.example", 1)
    assert held[0]
    held[0].give_back()
    assert slots.try_one(one) is None
    assert held[1]
    held[1].give_back()
    assert slots.try_one(one)


def test_who_waits_for_a_user_goes_first(slots: Slots) -> None:
    one = Domain("a.example", "a.example", 1)
    held = slots.try_one(one)
    assert held
    got = threading.Event()

    def user() -> None:
        slot = slots.wait(one, 10, urgent=True)
        got.set()
        slot.give_back()

    thread = threading.Thread(target=user)
    thread.start()
    other = Domain("a.example", "a.example", 2)
    while stolen := slots.try_one(other):  # until the user is seen to wait, there is one to spare
        stolen.give_back()
    held.give_back()
    assert got.wait(10)
    thread.join(10)
    assert slots.try_one(one)


def test_a_killed_holder_gives_its_slot_back(slots: Slots, tmp_path: Path) -> None:
    one = Domain("a.example", "a.example", 1)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        held = slots.try_one(one)
        os.write(write, b"y" if held else b"n")
        signal.pause()
        os._exit(0)
    assert os.read(read, 1) == b"y"
    assert slots.try_one(one) is None
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert slots.try_one(one)
    assert (tmp_path / "slots").stat().st_size == 0
