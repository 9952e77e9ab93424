"""A stream of originals: what one store sends another takes, and nothing malformed."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import socket
import string
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from image_cloud.bulk.ahead import Ahead, in_time
from image_cloud.bulk.group import Group
from image_cloud.bulk.receiving import Sample, Samples
from image_cloud.bulk.request import MOST_KEYS, read_keys
from image_cloud.bulk.samples import BLOCK_BYTES as BLOCK
from image_cloud.bulk.samples import END, described, header, header_in, padding
from image_cloud.bulk.sending import BLOCK_BYTES, Shrunk, stream
from image_cloud.errors import BadRequestBody, Blocked, PeerBroken, StorageUnavailable
from image_cloud.picture.key import key_of
from image_cloud.picture.record import Record, Tombstone
from image_cloud.picture.url import Url
from image_cloud.storage.store import Store
from tests.storage import keep, new_store

FOREVER = 600.0
MOST = 10**6


def picture(number: int, content: bytes = b"\xff\xd8\xff and so on", **more: object) -> Record:
    url = Url.parse(f"http://shop.example/{number}.jpg")
    values = {"stored_at": 1000.0 + number, "format": "jpeg", "stored_from": "origin", **more}
    return Record(
        key=url.key, url=url.text, host=url.host, width=1, height=1, bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(), **values,
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return new_store(tmp_path / "storage")


def put(store: Store, number: int, content: bytes = b"\xff\xd8\xff and so on") -> Record:
    record = picture(number, content)
    keep(store, record, content)
    return record


def tar_of(store: Store, *keys: str) -> bytes:
    return b"".join(stream(store, keys, FOREVER))


def samples(body: bytes, *keys: str, most: int = MOST, wanted: int = MOST) -> Samples:
    return Samples(iter([body]), keys, "ic01", wanted_bytes=wanted, most_bytes=most)


def read(body: bytes, *keys: str, most: int = MOST) -> list[tuple[Sample, bytes]]:
    return [(one, b"".join(map(bytes, one.pieces))) for one in samples(body, *keys, most=most)]


def test_any_tool_reads_the_stream(store: Store) -> None:
    one, other = put(store, 1), put(store, 2, b"\xff\xd8\xff" + bytes(600))
    body = tar_of(store, one.key, other.key)
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        names = tar.getnames()
        told = json.load(tar.extractfile(names[0]))
        content = tar.extractfile(names[3]).read()  # type: ignore[union-attr]
    assert names == [f"{r.key}.{end}" for r in (one, other) for end in ("json", "jpg")]
    assert told == vars(one)
    assert hashlib.sha256(content).hexdigest() == other.sha256


def test_what_was_sent_arrives(store: Store) -> None:
    records = [put(store, number, b"\xff\xd8\xff" + bytes(number * 500)) for number in range(5)]
    missing = key_of("http://shop.example/none")
    keys = [records[0].key, missing, *(one.key for one in records[1:])]
    found = read(tar_of(store, *keys), *keys)
    assert [one.key for one, _ in found] == keys
    assert found[1][0].record is None
    arrived = [one.record for one, _ in found if one.record]
    assert [(one.key, one.sha256, one.stored_from) for one in arrived] == [
        (one.key, one.sha256, "ic01") for one in records
    ]
    for one, content in found:
        assert one.record is None or hashlib.sha256(content).hexdigest() == one.record.sha256


def test_bytes_that_nobody_takes_are_passed_over(store: Store) -> None:
    keys = [put(store, number, b"\xff\xd8\xff" + bytes(5000)).key for number in (1, 2, 3)]
    assert [one.key for one in samples(tar_of(store, *keys), *keys)] == keys


def test_records_alone_come_without_bytes(store: Store) -> None:
    keys = [put(store, 1).key, key_of("http://shop.example/none"), put(store, 2).key]
    body = b"".join(stream(store, keys, FOREVER, records_only=True))
    found = list(
        Samples(iter([body]), keys, "ic01", wanted_bytes=0, most_bytes=0, records_only=True)
    )
    assert [one.record and one.record.key for one in found] == [keys[0], None, keys[2]]


def test_what_is_told_as_it_was_known_need_not_be_checked_again(store: Store) -> None:
    record = put(store, 1)
    known = dataclasses.replace(record, stored_from="ic02")
    body = tar_of(store, record.key)
    (found,) = Samples(
        iter([body]), [record.key], "ic01", wanted_bytes=MOST, most_bytes=MOST,
        known={record.key: known},
    )  # fmt: skip
    assert found.record == dataclasses.replace(record, stored_from="ic01")


@pytest.mark.parametrize(
    ("changed", "sound"), [({"sha256": "0" * 64}, True), ({"host": "other.example"}, False)]
)
def test_what_is_told_otherwise_than_known_is_checked(changed: dict[str, str], sound: bool) -> None:
    told = dataclasses.replace(RECORD, **changed)
    body = described(told, is_private=False) + WHOLE[len(TOLD) :]
    (found,) = Samples(
        iter([body]), [KEY], "ic01", wanted_bytes=MOST, most_bytes=MOST, known={KEY: RECORD}
    )
    assert found.record == (dataclasses.replace(told, stored_from="ic01") if sound else None)
    assert bool(found.refused) is not sound


@given(
    name=st.text(string.ascii_letters + "./", min_size=1, max_size=120),
    size=st.integers(0, 2**40),
    modified=st.floats(-10, 2**40),
)
def test_headers_are_those_of_tarfile(name: str, size: int, modified: float) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, int(modified), 0o640
    made = header(name, size, modified)
    assert made == member.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")
    if len(made) == BLOCK:
        assert facts(header_in(made)) == facts(tarfile.TarInfo.frombuf(made, "utf-8", "replace"))


# What is behind its mode and its owner does not matter.
@given(
    at=st.sampled_from([*range(100), *range(124, 157), *range(345, 500)]), byte=st.integers(0, 255)
)
@example(at=156, byte=ord("2"))
def test_a_header_says_what_tarfile_reads_in_it(at: int, byte: int) -> None:
    block = bytearray(header("folder/name.jpg", 12345, 1e9))
    block[at] = byte
    for checksum in (block[148:156], b"%06o\0 " % (sum(block) - sum(block[148:156]) + 256)):
        block[148:156] = checksum
        try:
            expected = facts(tarfile.TarInfo.frombuf(bytes(block), "utf-8", "replace"))
        except tarfile.HeaderError:
            with pytest.raises(ValueError):  # noqa: PT011
                header_in(bytes(block))
        else:
            assert facts(header_in(bytes(block))) == expected


def facts(member: tarfile.TarInfo | None) -> tuple[object, ...]:
    assert member
    return member.name, member.size, member.mtime, member.type


def test_a_large_picture_comes_in_pieces(store: Store) -> None:
    record = put(store, 1, b"\xff\xd8\xff" + bytes(5 * BLOCK_BYTES))
    blocks = list(stream(store, [record.key], FOREVER))
    assert max(map(len, blocks)) <= 2 * BLOCK_BYTES
    (found,) = list(
        Samples(iter(blocks), [record.key], "ic01", wanted_bytes=0, most_bytes=MOST * 9)
    )
    assert found.record


def test_private_pictures_are_told_as_such(store: Store) -> None:
    record = picture(1)
    with store.originals.new_file() as file:
        file.write(b"\xff\xd8\xff and so on")
        store.place(file, record, is_private=True)
    ((sample, _),) = read(tar_of(store, record.key), record.key)
    assert sample.is_private


def test_a_picture_of_another_size_than_its_record_is_not_sent(store: Store) -> None:
    record = put(store, 1)
    path = store.root / record.original(is_private=False).relative
    path.write_bytes(b"\xff\xd8\xff cut")
    ((sample, _),) = read(tar_of(store, record.key), record.key)
    assert sample.record is None


def test_a_file_that_shrinks_meanwhile_breaks_the_stream_off(store: Store) -> None:
    record = put(store, 1, b"\xff\xd8\xff" + bytes(3 * BLOCK_BYTES))
    blocks = stream(store, [record.key], FOREVER)
    next(blocks)
    with open(store.root / record.original(is_private=False).relative, "r+b") as file:
        file.truncate(10)
    with pytest.raises(Shrunk):
        list(blocks)


def test_a_stream_ends_in_order_when_its_time_is_up(store: Store) -> None:
    keys = [put(store, number).key for number in (1, 2, 3)]
    clock = iter([0.0, 0.0, 5.0, 99.0]).__next__
    body = b"".join(stream(store, keys, 10.0, clock=clock))
    assert [one.key for one, _ in read(body, *keys)] == keys[:2]


RECORD = picture(1, b"\xff\xd8\xff")
KEY = RECORD.key
TOLD, NAME = described(RECORD, is_private=False), f"{KEY}.jpg"
WHOLE = TOLD + header(NAME, 3, 0.0) + b"\xff\xd8\xff" + padding(3) + END


def test_the_sound_stream_of_these_tests_is_read() -> None:
    ((sample, content),) = read(WHOLE, KEY)
    assert (sample.record and sample.record.key, content) == (KEY, b"\xff\xd8\xff")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        WHOLE[:-1024],
        *(WHOLE[:at] for at in (1, 512, len(TOLD), len(TOLD) + 512, len(TOLD) + 514)),
        b"x" * 512,
        bytes(100) + b"\xff" * 412,
        TOLD + END,
        header(f"{KEY}.json", 200_000, 0.0) + bytes(200_192),
        header(f"{KEY}.json", 3, 0.0) + b"[1]" + padding(3) + END,
        header(f"{KEY}.json", 3, 0.0) + b"NaN" + padding(3) + END,
        header(f"{KEY}.json", 9_000, 0.0) + b"[" * 9_000 + padding(9_000) + END,
        described(picture(2), is_private=False) + END,
        TOLD + header(NAME, MOST + 1, 0.0) + bytes(2 * MOST),
        TOLD + header("other.jpg", 3, 0.0) + b"\xff\xd8\xff" + padding(3) + END,
        WHOLE.removesuffix(END) + WHOLE,
    ],
)  # fmt: skip
def test_a_malformed_stream_is_broken_off(body: bytes) -> None:
    with pytest.raises(PeerBroken):
        read(body, KEY)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE]
)
def test_only_files_are_members(kind: bytes) -> None:
    member = tarfile.TarInfo(f"{KEY}.json")
    member.type, member.linkname = kind, "/etc/passwd"
    with pytest.raises(PeerBroken):
        read(member.tobuf(tarfile.GNU_FORMAT) + END, KEY)


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://other.example/"}, {"sha256": "z"}, {"stored_at": 9e9}, {"format": "exe"},
        {"bytes": 4}, {"width": -1}, {"host": "other.example"},
    ],
)  # fmt: skip
def test_an_impossible_record_costs_one_picture(wrong: dict[str, object]) -> None:
    told = json.dumps(vars(RECORD) | wrong).encode()
    bad = header(f"{KEY}.json", len(told), 0.0) + told + padding(len(told))
    second = picture(2, b"\xff\xd8\xff")
    body = bad + WHOLE[len(TOLD) : -1024] + described(second, is_private=False)
    body += header(f"{second.key}.jpg", 3, 0.0) + b"\xff\xd8\xff" + padding(3) + END
    (refused, _), (sound, _) = read(body, KEY, second.key)
    assert refused.record is None
    assert refused.refused
    assert sound.record


def test_a_stream_is_bounded_in_bytes_and_seconds() -> None:
    big = b"\xff\xd8\xff" + bytes(3 * 10**6)
    many = [picture(number, big) for number in range(3)]
    whole = b"".join(
        described(one, is_private=False) + header(f"{one.key}.jpg", len(big), 0.0) + big
        + padding(len(big)) for one in many
    )  # fmt: skip
    blocks = (whole[at : at + 65536] for at in range(0, len(whole), 65536))
    keys = [one.key for one in many]
    with pytest.raises(PeerBroken, match="too long"):
        list(Samples(blocks, keys, "ic01", wanted_bytes=3, most_bytes=4 * 10**6))
    times = iter([0.0, 0.0, 0.0, 10.0, 1000.0]).__next__
    dripping = (WHOLE[at : at + 300] for at in range(0, len(WHOLE), 300))
    with pytest.raises(PeerBroken, match="too slow"):
        list(Samples(dripping, [KEY], "ic01", wanted_bytes=3, most_bytes=MOST, clock=times))


@pytest.mark.parametrize(
    "body",
    [b"", b"\n", b"x", KEY.upper().encode(), f"{KEY} {KEY}".encode(), b"\xff", KEY[:-1].encode()],
)
def test_a_request_names_keys_each_once(body: bytes) -> None:
    with pytest.raises(BadRequestBody):
        read_keys(body)


def test_a_request_is_bounded() -> None:
    keys = [key_of(str(number)) for number in range(MOST_KEYS + 1)]
    assert read_keys("\n".join(keys[:-1]).encode()) == keys[:-1]
    with pytest.raises(BadRequestBody):
        read_keys("\n".join(keys).encode())


# --- groups ---------------------------------------------------------------------------------------


def add(group: Group, store: Store, record: Record, content: bytes) -> None:
    file = store.originals.new_file()
    file.write(content)
    group.add(file, record, is_private=False)


def test_a_group_is_named_together_with_its_notes(store: Store) -> None:
    content = b"\xff\xd8\xff and so on"
    records = [picture(number, content) for number in range(5)]
    with Group(store) as group:
        for record in records:
            add(group, store, record, content)
        assert not list(store.records.unrecorded())
        here, failed = group.place()
    assert (here, failed) == (records, {})
    assert {one.key for _, one in store.records.unrecorded()} == {one.key for one in records}
    assert all(store.originals.find(one.key) for one in records)


def test_deletes_and_newer_stores_win_over_a_group(store: Store) -> None:
    content = b"\xff\xd8\xff and so on"
    deleted, blocked, older, new = records = [picture(number, content) for number in range(4)]
    store.bury(Tombstone(deleted.key, deleted.url, deleted.stored_at), now=FOREVER * 9)
    store.bury(Tombstone(blocked.key, blocked.url, 1.0, blocked=True), now=FOREVER * 9)
    newer = b"\xff\xd8\xff a newer one"
    keep(store, picture(2, newer, stored_at=older.stored_at + 1), newer)
    with Group(store) as group:
        for record in records:
            add(group, store, record, content)
        here, failed = group.place()
    assert [one.key for one in here] == [older.key, new.key]
    assert isinstance(failed[blocked.key], Blocked)
    assert set(failed) == {deleted.key, blocked.key}
    original = store.originals.find(older.key)
    assert original
    assert store.originals.path(original).read_bytes() == newer
    assert store.originals.find(deleted.key) is None


def test_a_group_that_cannot_be_noted_leaves_nothing(store: Store) -> None:
    record = picture(1)
    (store.root / "unrecorded").rmdir()
    with Group(store) as group:
        add(group, store, record, b"\xff\xd8\xff and so on")
        with pytest.raises(StorageUnavailable):
            group.place()
    assert store.originals.find(record.key) is None


# --- who reads it ---------------------------------------------------------------------------------


def test_blocks_are_made_ahead_but_not_far() -> None:
    made: list[int] = []

    def blocks() -> Iterator[bytes]:
        for number in range(100):
            made.append(number)
            yield b"x"

    with Ahead(blocks()) as ahead:
        next(iter(ahead))
    assert len(made) < 10
    assert not [one for one in threading.enumerate() if one.name == "stream"]


def test_what_makes_blocks_fail_reaches_the_reader() -> None:
    def blocks() -> Iterator[bytes]:
        yield b"x"
        raise Shrunk

    with Ahead(blocks()) as ahead, pytest.raises(Shrunk):
        list(ahead)


def test_a_reader_that_takes_nothing_is_hung_up_on() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        blocks = in_time(iter([b"x", b"y"]), ours, block_s=0.05)
        next(blocks)
        theirs.settimeout(10)
        assert theirs.recv(1) == b""
        blocks.close()  # type: ignore[attr-defined]
