"""Slots: never more than there are, users first, free again when the holder dies."""

import os
import signal
import threading
import time
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
    assert got.wait(60)
    thread.join(60)
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


class Waiting:
    """Threads that wait for a slot of one domain; `order` says who got one, in that order."""

    def __init__(self, slots: Slots, domain: Domain) -> None:
        self.order: list[int] = []
        self.go = threading.Semaphore(0)
        self._slots, self._domain = slots, domain
        self._threads: list[threading.Thread] = []

    def add(self, *, urgent: bool = True) -> None:
        number = len(self._threads)
        thread = threading.Thread(target=self._wait, args=(number, urgent))
        self._threads.append(thread)
        thread.start()
        while not self._slots.waiting(self._domain) > number - len(self.order):
            assert thread.is_alive()

    def _wait(self, number: int, urgent: bool) -> None:
        slot = self._slots.wait(self._domain, 20, urgent=urgent)
        self.order.append(number)
        self.go.acquire(timeout=60)
        slot.give_back()

    def end(self) -> list[int]:
        for _ in self._threads:
            self.go.release()
        for thread in self._threads:
            thread.join(60)
        return self.order


def test_first_come_first_served_and_users_before_all_others(slots: Slots) -> None:
    one = Domain("a.example", "a.example", 1)
    held = slots.try_one(one)
    assert held
    waiting = Waiting(slots, one)
    for urgent in (True, False, True, True, False, True):
        waiting.add(urgent=urgent)
    held.give_back()
    assert waiting.end() == [0, 2, 3, 5, 1, 4]
    assert slots.waiting(one) == 0
    assert slots.try_one(one)


def test_a_slot_is_handed_on_without_being_free(slots: Slots, tmp_path: Path) -> None:
    one, other = Domain("a.example", "a.example", 1), Slots(tmp_path / "slots")
    held = slots.try_one(one)
    assert held
    waiting = Waiting(slots, one)
    waiting.add()
    held.give_back()
    with pytest.raises(Busy):
        other.wait(one, 0.0, urgent=True)
    assert waiting.end() == [0]


def test_many_at_once_never_have_more_than_there_are(tmp_path: Path) -> None:
    processes = [Slots(tmp_path / "slots") for _ in range(2)]
    visits, running, most = 0, 0, 0
    mutex = threading.Lock()

    def visit(slots: Slots) -> None:
        nonlocal visits, running, most
        for _ in range(20):
            slot = slots.wait(TWO, 60, urgent=True)
            with mutex:
                visits, running = visits + 1, running + 1
                most = max(most, running)
            time.sleep(0)
            with mutex:
                running -= 1
            slot.give_back()

    threads = [threading.Thread(target=visit, args=(processes[n % 2],)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (visits, running) == (400, 0)
    assert most <= 2
    assert processes[0].try_one(TWO)


def test_who_gives_up_leaves_the_line(slots: Slots) -> None:
    one = Domain("a.example", "a.example", 1)
    held = slots.try_one(one)
    assert held
    with pytest.raises(Busy):
        slots.wait(one, 0.02, urgent=True)
    waiting = Waiting(slots, one)
    waiting.add()
    with pytest.raises(Busy):
        slots.wait(one, 0.02, urgent=True)
    held.give_back()
    assert waiting.end() == [0]
    held = slots.try_one(one)
    assert held, "no user is seen to wait any more"


def test_a_busy_process_lets_others_have_their_turn(tmp_path: Path) -> None:
    """Two `Slots` are as two processes."""
    one = Domain("a.example", "a.example", 1)
    greedy, other = Slots(tmp_path / "slots"), Slots(tmp_path / "slots")
    done = threading.Event()

    def visit_again_and_again() -> None:
        while not done.is_set():
            slot = greedy.wait(one, 20, urgent=True)
            done.wait(0.01)
            slot.give_back()

    threads = [threading.Thread(target=visit_again_and_again) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        other.wait(one, 20, urgent=True).give_back()
    finally:
        done.set()
        for thread in threads:
            thread.join(60)


def test_a_limit_that_shrank_holds_for_those_in_line(slots: Slots) -> None:
    held = [slots.try_one(TWO) for _ in range(2)]
    assert held[0]
    assert held[1]
    waiting = Waiting(slots, Domain("a.example", "a.example", 1))
    waiting.add()
    held[0].give_back()
    assert not waiting.order
    held[1].give_back()
    assert waiting.end() == [0]
