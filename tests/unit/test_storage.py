import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from image_cloud import errors
from image_cloud.fetch.flights import Flights
from image_cloud.picture.key import key_of
from image_cloud.picture.record import Original, Record
from image_cloud.process.locks import locked
from image_cloud.storage.files import sync_file_system
from image_cloud.storage.folders import PRIVATE_FILE
from image_cloud.storage.incoming import Incoming, MemoryBudget
from image_cloud.storage.new_file import NewFile
from image_cloud.storage.store import Store
from tests.storage import new_store, put

URL = "http://shop.example/a.jpg"
KEY = key_of(URL)
RECORD = Record(KEY, URL, "shop.example", "jpeg", 1, 1, 3, "0" * 64, 1.0, "origin")
DEADLINE_S = 60.0


def files(store: Store) -> list[str]:
    return sorted(str(p.relative_to(store.root)) for p in store.root.rglob("*") if p.is_file())


def test_an_original_appears_whole_with_its_note(store: Store) -> None:
    with Incoming(store, MemoryBudget(0)) as incoming:
        incoming.write(b"ab")
        incoming.write(b"c")
        assert files(store) == []
        assert incoming.file
        store.place(incoming.file, RECORD)
    original = store.originals.find(KEY)
    assert original
    assert (store.originals.path(original)).read_bytes() == b"abc"
    assert [record for _, record in store.records.unrecorded()] == [RECORD]
    store.records.settle(RECORD)
    assert files(store) == [
        "cluster/.placing",
        original.relative,
        f"records/{KEY[:2]}/{KEY[2:4]}/{KEY}.json",
    ]
    assert store.records.find(KEY) == RECORD


def test_a_download_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), Incoming(store, MemoryBudget(0)) as incoming:
        incoming.write(b"abc")
        raise ZeroDivisionError
    assert files(store) == []


def test_an_original_that_cannot_be_placed_leaves_no_note(store: Store) -> None:
    (store.root / "originals" / KEY[:2]).write_text("in the way")
    with Incoming(store, MemoryBudget(0)) as incoming:
        incoming.write(b"abc")
        assert incoming.file
        with pytest.raises(OSError, match="Not a directory"):
            store.place(incoming.file, RECORD)
        assert incoming.data() == b"abc"
    assert list(store.records.unrecorded()) == []


def test_an_original_that_does_not_reach_the_disk_leaves_no_note(store: Store) -> None:
    class Broken(NewFile):
        def sync(self) -> None:
            raise OSError(5, "Input/output error")

    with Broken(f"{store.root}/incoming", PRIVATE_FILE) as file:
        file.write(b"abc")
        with pytest.raises(OSError, match="Input/output error"):
            store.place(file, RECORD)
    assert files(store) == ["cluster/.placing"]


def test_a_variant_that_cannot_be_kept_stops_no_other(store: Store) -> None:
    taken = store.root / f"variants/{KEY[:2]}/{KEY[2:4]}/{KEY}/1x1-fit-q85.jpg"
    taken.mkdir(parents=True)
    failed = store.variants.keep(KEY, {"1x1-fit-q85.jpg": b"a", "2x2-fit-q85.jpg": b"b"})
    assert list(failed) == ["1x1-fit-q85.jpg"]
    assert files(store) == [f"variants/{KEY[:2]}/{KEY[2:4]}/{KEY}/2x2-fit-q85.jpg"]


def test_a_full_disk_moves_what_came_into_memory(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = MemoryBudget(10)
    with Incoming(store, budget) as incoming:
        incoming.write(b"abc")
        real = os.pwrite
        failed: list[int] = []

        def full_once(*args: Any) -> int:
            if not failed:
                failed.append(1)
                raise OSError(28, "No space left on device")
            return real(*args)

        monkeypatch.setattr(os, "pwrite", full_once)
        incoming.write(b"def")
        assert incoming.file is None
        with incoming.open() as file:
            assert incoming.data() == file.read() == b"abcdef"
        assert files(store) == []
        with pytest.raises(errors.StorageUnavailable):
            incoming.write(b"12345")
    budget.take(10)


def test_variants_are_replaced_as_a_whole_and_removed_with_the_original(store: Store) -> None:
    store.variants.keep(KEY, {"1x1-fit-q85.jpg": b"old"})
    store.variants.keep(KEY, {"1x1-fit-q85.jpg": b"new"})
    assert store.variants.has(KEY, "1x1-fit-q85.jpg")
    store.drop(RECORD)
    assert files(store) == ["cluster/.placing"]


def test_one_flight_per_key_and_its_error_is_shared(tmp_path: Path) -> None:
    flights: Flights[str] = Flights(tmp_path / "lock", DEADLINE_S)
    go, started, calls, results = threading.Event(), threading.Event(), [], []

    def work() -> str:
        calls.append(1)
        started.set()
        go.wait(DEADLINE_S)
        raise errors.OriginReset("gone")

    def ask() -> None:
        try:
            results.append(flights.run(KEY, work))
        except errors.OriginReset as error:
            results.append(error.detail)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    threads[0].start()
    assert started.wait(DEADLINE_S)
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert results == ["gone"] * 8
    assert len(calls) < 8
    assert flights.run(KEY, lambda: "again") == "again"


def test_the_lock_holds_between_processes_and_dies_with_its_holder(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        with locked(tmp_path / "lock", KEY, 1):
            os.write(write_end, b"x")
            os.read(os.open("/dev/zero", os.O_RDONLY), 1)
            threading.Event().wait(60)
        os._exit(0)
    try:
        os.read(read_end, 1)
        with pytest.raises(errors.Busy), locked(tmp_path / "lock", KEY, 0.05):
            pass
        with locked(tmp_path / "lock", key_of("another"), 0.05):
            pass
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    with locked(tmp_path / "lock", KEY, DEADLINE_S):
        pass


@pytest.mark.parametrize(("count", "is_shared"), [(3, False), (20, True)])
def test_many_originals_reach_the_disk_together_where_it_can_do_that(
    store: Store, monkeypatch: pytest.MonkeyPatch, count: int, is_shared: bool
) -> None:
    keys = [put(store, f"http://shop.example/{number}.jpg", 1.0).key for number in range(count)]
    kept = {f"{store.root}/{Original(key, 'jpg').relative}" for key in keys}
    folders = {os.path.dirname(file) for file in kept}
    synced: list[str] = []

    def fsync(file: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{file}"))

    monkeypatch.setattr(os, "fsync", fsync)
    store.originals.sync_all(keys)
    if is_shared and sync_file_system(f"{store.root}/originals"):
        assert set(synced) == {f"{store.root}/originals"}
    else:
        assert set(synced) == kept | folders


def test_a_file_system_that_may_do_nothing_is_not_relied_on() -> None:
    assert not sync_file_system("/proc")


def test_the_folders_of_originals_are_those_that_are_there(tmp_path: Path) -> None:
    store = new_store(tmp_path / "storage")
    assert list(store.originals.folders()) == []
    numbers = sorted(
        {int(put(store, f"http://shop.example/{n}", 1.0).key[:4], 16) for n in range(20)}
    )
    (tmp_path / "storage/originals/zz").mkdir()
    (tmp_path / "storage/originals/0a").write_text("no folder")
    for first in (0, numbers[7], numbers[7] + 1, numbers[-1] + 1):
        assert list(store.originals.folders(first)) == [n for n in numbers if n >= first]


def test_folders_of_a_storage_are_spread_over_the_disk(tmp_path: Path) -> None:
    new_store(tmp_path / "storage")
    (tmp_path / "by-hand").mkdir()
    chattr = subprocess.run(["chattr", "+T", tmp_path / "by-hand"], capture_output=True)
    lsattr = ["lsattr", "-d", tmp_path / "storage"]
    flags = subprocess.run(lsattr, capture_output=True, text=True).stdout.partition(" ")[0]
    assert ("T" in flags) == (
        chattr.returncode == 0
    )  # a file system that knows no such hint is left alone
