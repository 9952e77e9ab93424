"""How bytes become an original: what is refused, what is recorded, and what a full disk leaves."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from image_cloud.errors import (
    Blocked,
    CorruptImage,
    DeletedMeanwhile,
    ImageCloudError,
    NotAnImage,
    OriginTimeout,
    StorageUnavailable,
    TruncatedImage,
    UnsupportedFormat,
)
from image_cloud.fetch.arrival import Arrivals, Deliver, Delivery, Sink, take_copy
from image_cloud.fetch.importing import DELETED, HERE, IMPORTED, Importer
from image_cloud.fetch.purpose import Keep
from image_cloud.picture.formats import FORMATS
from image_cloud.picture.record import Record, Tombstone
from image_cloud.picture.url import Url
from image_cloud.storage.incoming import MemoryBudget
from image_cloud.storage.space import Room
from image_cloud.storage.store import Store
from tests.unit.pictures import quarters

URL = Url.parse("http://shop.example/a.jpg")
FULL = Room(2**62, 0)


def encoded(format: str) -> bytes:
    file = io.BytesIO()
    quarters((60, 40)).save(file, format)
    return file.getvalue()


JPEG, PNG = encoded("jpeg"), encoded("png")


def sends(
    content: bytes,
    source: str = "origin",
    stored_at: float = 10.0,
    before: Callable[[], object] = lambda: None,
    is_in_full: bool = False,
) -> Deliver:
    """Return what writes `content` in two pieces, after something else has happened."""

    def deliver(sink: Sink) -> Delivery:
        sink.write(content[:20])
        before()
        sink.write(content[20:])
        return Delivery(hashlib.sha256(content).hexdigest(), stored_at, source, is_in_full)

    return deliver


@pytest.fixture
def told() -> list[Record]:
    return []


@pytest.fixture
def arrivals(store: Store, told: list[Record]) -> Arrivals:
    return Arrivals(store, ("jpeg", "webp"), told.append, MemoryBudget(10**6))


@pytest.fixture
def full(tmp_path: Path, told: list[Record], store: Store) -> Arrivals:
    """The way into a storage without any room."""
    return Arrivals(Store.at(tmp_path, FULL), FORMATS, told.append, MemoryBudget(10**6))


def test_a_picture_is_kept_recorded_and_told_of(
    store: Store, arrivals: Arrivals, told: list[Record]
) -> None:
    arrived = arrivals.take(URL, sends(JPEG), keep=Keep.IF_POSSIBLE)
    sha256 = hashlib.sha256(JPEG).hexdigest()
    assert arrived.record == Record(
        URL.key, URL.text, "shop.example", "jpeg", 60, 40, len(JPEG), sha256, 10.0, "origin"
    )
    assert store.originals.path(arrived.original).read_bytes() == JPEG
    assert store.records.find(URL.key) == arrived.record
    assert (told, arrived.data) == ([arrived.record], None)


@pytest.mark.parametrize(
    ("content", "source", "error", "says"),
    [
        (b"<html>no", "origin", NotAnImage, "the origin sent an HTML page"),
        (b"<html>no", "ic01", NotAnImage, "ic01 sent an HTML page"),
        (b"", "import", NotAnImage, "the file is an empty file"),
        (PNG, "origin", UnsupportedFormat, "the origin sent png; supported are jpeg, webp"),
        (JPEG[:-200], "origin", TruncatedImage, "the jpeg file ends after"),
    ],
)
def test_what_is_no_whole_picture_is_refused(
    store: Store, arrivals: Arrivals, told: list[Record],
    content: bytes, source: str, error: type[ImageCloudError], says: str,
) -> None:  # fmt: skip
    with pytest.raises(error, match=f"^{says}"):
        arrivals.take(URL, sends(content, source), keep=Keep.IF_POSSIBLE)
    assert (store.originals.find(URL.key), store.records.find(URL.key), told) == (None, None, [])


@pytest.mark.parametrize("content", [JPEG[:-2], JPEG[:-1], JPEG[: len(JPEG) // 2]])
def test_a_length_that_came_in_full_is_believed(
    store: Store, arrivals: Arrivals, content: bytes
) -> None:
    arrived = arrivals.take(URL, sends(content, is_in_full=True), keep=Keep.IF_POSSIBLE)
    assert (arrived.record.width, arrived.record.height) == (60, 40)
    assert store.originals.path(arrived.original).read_bytes() == content


@pytest.mark.parametrize(
    ("came", "is_whole"),
    [
        (b"", False),
        (b"\xff", False),
        (b"no", False),
        (b"no picture, as 32 bytes tell us....", True),
        (JPEG[:-9], False),
        (JPEG, True),
        (PNG[:-13], False),
        (PNG, True),
    ],
)
def test_a_silent_origin_is_waited_for_while_more_can_be_missing(
    arrivals: Arrivals, came: bytes, is_whole: bool
) -> None:
    looked: list[bool] = []

    def deliver(sink: Sink) -> Delivery:
        sink.write(came)
        looked.append(sink.is_whole())
        raise OriginTimeout("silent")

    with pytest.raises(OriginTimeout):
        arrivals.take(URL, deliver, keep=Keep.IF_POSSIBLE)
    assert looked == [is_whole]


def test_a_header_without_dimensions_costs_no_picture(store: Store, told: list[Record]) -> None:
    at = JPEG.index(b"\xff\xc0") + 5
    content = JPEG[:at] + bytes(4) + JPEG[at + 4 :]
    arrived = Arrivals(store, FORMATS, told.append).take(URL, sends(content), keep=Keep.LASTS)
    assert (arrived.record.width, arrived.record.height) == (None, None)


@pytest.mark.parametrize("blocked", [False, True])
@pytest.mark.parametrize("room", ["arrivals", "full"])
def test_a_delete_on_the_way_wins(
    store: Store, room: str, blocked: bool, request: pytest.FixtureRequest
) -> None:
    def delete() -> None:
        store.bury(Tombstone(URL.key, URL.text, 11.0, blocked), now=20.0)

    way: Arrivals = request.getfixturevalue(room)
    with pytest.raises(Blocked if blocked else DeletedMeanwhile):
        way.take(URL, sends(JPEG, before=delete), keep=Keep.IF_POSSIBLE)
    assert store.originals.find(URL.key) is None


def test_a_newer_picture_that_is_here_stays(store: Store, arrivals: Arrivals) -> None:
    webp = encoded("webp")
    arrivals.take(URL, sends(webp, stored_at=12.0), keep=Keep.IF_POSSIBLE)
    arrived = arrivals.take(URL, sends(JPEG, stored_at=11.0), keep=Keep.IF_POSSIBLE)
    assert store.originals.path(arrived.original).read_bytes() == webp


# --- storage that does not take it ---


def test_a_full_storage_passes_on_what_need_not_last(full: Arrivals, told: list[Record]) -> None:
    arrived = full.take(URL, sends(JPEG), keep=Keep.IF_POSSIBLE)
    assert (arrived.data, arrived.original.extension, told) == (JPEG, "jpg", [])


def test_a_full_storage_refuses_what_must_last_before_all_has_come(full: Arrivals) -> None:
    def never() -> None:
        raise AssertionError("it went on")

    with pytest.raises(StorageUnavailable):
        full.take(URL, sends(JPEG, before=never), keep=Keep.LASTS)


@pytest.mark.parametrize("keep", Keep)
def test_a_place_that_cannot_be_written(
    tmp_path: Path, store: Store, arrivals: Arrivals, told: list[Record], keep: Keep
) -> None:
    (tmp_path / "originals" / URL.key[:2]).write_text("in the way")
    if keep is not Keep.IF_POSSIBLE:
        with pytest.raises(StorageUnavailable, match="^storage: "):
            arrivals.take(URL, sends(JPEG), keep=keep)
    else:
        assert arrivals.take(URL, sends(JPEG), keep=keep).data == JPEG
    assert (store.records.find(URL.key), told) == (None, [])


# --- copies of what another node has ---


def wanted(format: str = "jpeg", content: bytes = JPEG) -> Record:
    sha256 = hashlib.sha256(content).hexdigest()
    return Record(URL.key, URL.text, URL.host, format, 6, 4, 1, sha256, 10.0, "origin")


def test_a_copy_keeps_what_the_other_node_found(store: Store) -> None:
    cut = JPEG[:-200]  # that node took it: it may know better
    record = take_copy(store, wanted(content=cut), sends(cut, "ic02"))
    assert (record.width, record.stored_at, record.stored_from) == (6, 10.0, "ic02")
    assert record.bytes == len(cut), "what is here counts, not what the feed told of"
    assert store.records.find(URL.key) == record


@pytest.mark.parametrize(
    ("format", "content", "says"),
    [
        ("jpeg", PNG, "ic02 sent other bytes than its feed told of"),
        ("png", JPEG, "ic02 sent a jpeg picture, its feed told of png"),
        ("jpeg", b"<html>", "ic02 sent an HTML page, its feed told of jpeg"),
    ],
)
def test_another_picture_than_the_feed_told_of_is_no_copy(
    store: Store, format: str, content: bytes, says: str
) -> None:
    told_of = wanted(format, JPEG if content is PNG else content)
    with pytest.raises(CorruptImage, match=f"^{says}$"):
        take_copy(store, told_of, sends(content, "ic02"))
    assert store.originals.find(URL.key) is None


def test_a_full_storage_takes_no_copy(full: Arrivals, tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable):
        take_copy(Store.at(tmp_path, FULL), wanted(), sends(JPEG, "ic02"))


# --- an older store ---


def test_an_older_store_is_taken_over_once(
    tmp_path: Path, store: Store, told: list[Record]
) -> None:
    importer = Importer(store, Arrivals(store, FORMATS, told.append))
    path = tmp_path / "old.jpg"
    path.write_bytes(JPEG)
    outcomes = []
    for url in (URL, URL, Url.parse("http://shop.example/deleted.jpg")):
        if url != URL:
            store.bury(Tombstone(url.key, url.text, 4e9), now=4.1e9)
        with path.open("rb") as source:
            outcomes.append(importer.take(url, source))
    assert outcomes == [IMPORTED, HERE, DELETED]
    assert [(one.url, one.stored_from, one.stored_at) for one in told] == [
        (URL.text, "import", round(path.stat().st_mtime, 6))
    ]
