"""Variants on a disk of the node's own: whether they are believed, and what they were made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from image_cloud.errors import StorageUnavailable
from image_cloud.picture.key import key_of
from image_cloud.picture.record import PRIVATE
from image_cloud.storage.guard.guarded import Guard
from image_cloud.storage.guard.pulse import Pulse
from image_cloud.storage.local.lease import LASTS_S, Lease
from image_cloud.storage.local.variants import MADE_OF, Variants, remove_if_empty
from image_cloud.storage.store import Store
from tests.clock import Clock
from tests.storage import new_store, put

URL = "http://shop.example/a.jpg"
KEY, NAME = key_of(URL), "200x200-fit-q85.jpg"
OLD, NEW = 1_000_000_000_123_456_789, 1_000_000_001_000_000_001


@pytest.fixture
def lease(tmp_path: Path) -> Lease:
    return Lease(tmp_path, Clock(1000.0))


@pytest.fixture
def variants(tmp_path: Path, lease: Lease) -> Variants:
    new_store(tmp_path)
    return Variants(tmp_path, lease)


@pytest.mark.parametrize(
    ("now", "holds"),
    [(1000.0, True), (1000.0 + LASTS_S / 2, True), (1000.1 + LASTS_S, False), (990.0, False)],
)
def test_a_lease_holds_for_a_second(tmp_path: Path, now: float, holds: bool) -> None:
    clock = Clock(1000.0)
    lease = Lease(tmp_path, clock)
    assert not lease.holds()
    lease.renew(clock.now)
    clock.now = now
    assert lease.holds() is holds
    lease.end()
    assert not lease.holds()


@pytest.mark.parametrize("stem", [KEY, KEY + PRIVATE])
def test_what_was_made_of_another_original_goes(variants: Variants, stem: str) -> None:
    variants.keep_only(stem, OLD)
    variants.keep(stem, {NAME: b"old"})
    variants.keep_only(stem, OLD)
    variants.remove_others(KEY, OLD)
    assert variants.names(stem) == {NAME}
    variants.remove_others(KEY, NEW)
    assert variants.names(stem) == set()
    variants.keep(stem, {NAME: b"of an unknown one"})
    variants.keep_only(stem, NEW)
    assert variants.names(stem) == set()


def test_a_network_file_system_that_keeps_microseconds_will_do(variants: Variants) -> None:
    variants.keep_only(KEY, OLD // 1000 * 1000)
    variants.keep(KEY, {NAME: b"x"})
    variants.keep_only(KEY, OLD)
    assert variants.has(KEY, NAME)


def test_the_note_goes_with_the_last_variant(variants: Variants) -> None:
    variants.keep_only(KEY, OLD)
    variants.keep(KEY, {NAME: b"x"})
    folder = variants.path(KEY, NAME).parent
    remove_if_empty(folder)
    assert sorted(path.name for path in folder.iterdir()) == [MADE_OF, NAME]
    variants.remove_one(KEY, NAME)
    assert not folder.exists()


def test_all_go_at_once(variants: Variants) -> None:
    variants.keep(KEY, {NAME: b"x"})
    variants.remove_all()
    assert variants.names(KEY) == set()
    variants.keep(KEY, {NAME: b"x"})
    assert variants.names(KEY) == {NAME}


def test_without_a_lease_variants_are_compared_with_their_originals(tmp_path: Path) -> None:
    new_store(tmp_path / "far")
    new_store(tmp_path / "near")
    clock = Clock(1000.0)
    lease = Lease(tmp_path / "near", clock)
    store = Store.at(tmp_path / "far", local=tmp_path / "near", lease=lease)
    put(store, URL, 1000.0)
    original = store.originals.find(KEY)
    assert original
    store.variants.keep_only(KEY, OLD)
    store.variants.keep(KEY, {NAME: b"of another one"})
    lease.renew(clock.now)
    store.check_variants(original)
    assert store.variants.names(KEY) == {NAME}
    clock.now += 2 * LASTS_S
    store.check_variants(original)
    assert store.variants.names(KEY) == set()


def test_what_is_local_needs_no_storage(tmp_path: Path) -> None:
    new_store(tmp_path / "near")
    lease = Lease(tmp_path / "near", Clock(1000.0))
    gone = Guard(Pulse(tmp_path / "far"))
    store = Store.at(tmp_path / "far", local=tmp_path / "near", lease=lease, guard=gone)
    store.variants.keep(KEY, {NAME: b"x"})
    store.checks.mark(KEY, 1000.0)
    assert (store.variants.names(KEY), store.checks.find(KEY) is None) == ({NAME}, False)
    assert store.variants_space.has_room()
    with pytest.raises((StorageUnavailable, FileNotFoundError)):
        store.space.has_room()
