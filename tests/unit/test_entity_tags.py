"""The same bytes have the same tag, whenever and wherever they are stored, and other bytes another."""

import dataclasses
import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_cloud.picture.headers.entity_tag import (
    NANOSECONDS,
    entity_tag,
    modified_ns,
    nanoseconds_of,
)
from image_cloud.picture.url import Url
from image_cloud.storage.store import Store
from tests.storage import put

times = st.floats(0, 4_102_444_800)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@given(times, times, st.binary(max_size=50), st.binary(max_size=50))
def test_only_the_bytes_count(one_s: float, other_s: float, one: bytes, other: bytes) -> None:
    stamps = [
        divmod(modified_ns(*pair), NANOSECONDS)
        for pair in ((one_s, sha256(one)), (other_s, sha256(other)))
    ]
    assert [seconds for seconds, _ in stamps] == [int(one_s), int(other_s)]
    assert all(0 < part < NANOSECONDS for _, part in stamps)
    tags = [entity_tag(sha256(content), len(content)) for content in (one, other)]
    assert (tags[0] == tags[1]) == (one == other)
    assert (stamps[0][1] == stamps[1][1]) == (one == other)


@pytest.mark.parametrize("stored_at", [0.0, 1.0, 1000.9, 1e9, 4e9])
def test_files_carry_their_tag(store: Store, stored_at: float) -> None:
    record = put(store, f"http://shop.example/{stored_at}.jpg", stored_at, b"some bytes")
    original = store.originals.find(record.key)
    assert original
    path = store.originals.path(original)
    wanted = nanoseconds_of(record.sha256)
    assert divmod(path.stat().st_mtime_ns, NANOSECONDS)[1] == wanted
    store.restamp(dataclasses.replace(record, stored_at=stored_at + 0.5))
    assert divmod(path.stat().st_mtime_ns, NANOSECONDS)[1] == wanted


def test_variants_carry_their_tag(store: Store) -> None:
    key = Url.parse("http://shop.example/a.jpg").key
    files = {"1x1-fit-q85.jpg": b"one", "2x2-fit-q85.jpg": b"two"}
    assert not store.variants.keep(key, files)
    for name, content in files.items():
        stamp = os.stat(store.variants.path(key, name)).st_mtime_ns
        assert stamp % NANOSECONDS == nanoseconds_of(sha256(content))
