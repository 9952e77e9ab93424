"""What origins recognise their bytes by: what is kept of it, and to whom it is sent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from image_cloud.config.sections import Download
from image_cloud.errors import OriginStatus
from image_cloud.origin import Downloaded, Origin
from image_cloud.picture.headers.validators import NONE, Validators, checked, read
from image_cloud.picture.url import Url
from image_cloud.storage.local.checks import Seen
from tests import origin as wire

URL = Url.parse("http://shop.example/a.jpg")
DATE, LATER = "Wed, 25 Nov 2026 10:00:00 GMT", "Wed, 25 Nov 2026 10:00:09 GMT"


@pytest.mark.parametrize(
    "etag", ['"abc"', 'W/"abc"', '"a b"', '"W/!#~"', "abc", "5f-1a2b", "x" * 500, '"a,b"', 'W/"é"']
)
def test_tags_that_are_kept_as_they_are(etag: str) -> None:
    kept = read([etag], None, None, URL.key).etag
    assert kept == (etag if etag.isascii() else None)


@pytest.mark.parametrize(
    "etag",
    ["*", "", '""', "a, b", '"a", "b"', '"a" b', "a b", '"a\r\nX: y"', '"a\0"', "x" * 501, 'w/"a"b', '"'],
)  # fmt: skip
def test_tags_that_are_not(etag: str) -> None:
    assert read([etag], None, None, URL.key) == NONE
    assert not checked(Validators(etag, None, URL.key))


def test_two_tags_are_none() -> None:
    assert read(['"a"', '"b"'], None, None, URL.key) == NONE


@pytest.mark.parametrize(
    ("modified", "date", "is_kept"),
    [
        (DATE, LATER, True),
        (DATE, None, True),
        (DATE, "nonsense", True),
        (DATE, DATE, False),  # it may change once more within this second
        (LATER, DATE, False),
        ("yesterday", LATER, False),
        (DATE + "\r\nX: y", LATER, False),
        (DATE + " " * 60, LATER, False),
    ],
)
def test_dates(modified: str, date: str | None, is_kept: bool) -> None:
    found = read([], modified, date, URL.key)
    assert found == (Validators(None, DATE, URL.key) if is_kept else NONE)
    if modified == DATE:  # a tag tells apart what the date does not
        assert read(['"a"'], modified, date, URL.key) == Validators('"a"', DATE, URL.key)


def test_they_are_sent_to_the_url_that_sent_them_alone() -> None:
    found = Validators('"a"', DATE, URL.key)
    assert found.headers(URL.key) == {"If-None-Match": '"a"', "If-Modified-Since": DATE}
    assert found.headers(Url.parse("http://shop.example/b.jpg").key) == {}
    assert not checked(Validators('"a"', DATE, "no key"))


@pytest.fixture
def shop() -> Iterator[wire.Origin]:
    with wire.Origin() as running:
        yield running


def ask(shop: wire.Origin, path: str, known: Validators = NONE) -> Downloaded:
    client = Origin(
        Download(allow_networks=Download().allow_networks, sample_origin=shop.sample_origin)
    )
    return client.download(Url.parse(shop.url(path)), lambda _block: None, known=known)


@pytest.mark.parametrize(
    ("age_s", "by_check", "max_age_s", "is_over"),
    [
        (10, False, 9, True), (10, False, 11, False), (0.3, False, 0, True), (-5, False, 0, False),
        (10, True, 9, True), (10, True, 11, False), (0.3, True, 0, False), (1.2, True, 0, True),
    ],
)  # fmt: skip
def test_when_a_picture_is_old(
    age_s: float, by_check: bool, max_age_s: float, is_over: bool
) -> None:
    """A picture may be checked at once after its store, but not again within a second of a check."""
    assert Seen(1000.0, by_check).is_over(max_age_s, 1.0, 1000.0 + age_s) is is_over


def conditions(shop: wire.Origin) -> list[tuple[str, str | None]]:
    return [(one.path, one.headers.get("if-none-match")) for one in shop.requests]


def test_unchanged_is_a_304_and_the_connection_goes_on(shop: wire.Origin) -> None:
    shop.behave("/a.jpg", wire.Versions(b"one", ETag='W/"1"'))
    first = ask(shop, "/a.jpg")
    again = ask(shop, "/a.jpg", first.validators)
    assert (first.is_modified, again.is_modified, again.bytes) == (True, False, 0)
    assert again.validators == first.validators
    assert conditions(shop) == [("/a.jpg", None), ("/a.jpg", 'W/"1"')]


def test_redirects_get_no_validators_of_where_they_lead_to(shop: wire.Origin) -> None:
    shop.behave("/old.jpg", wire.redirect("/a.jpg"))
    for name in ("a", "b"):
        shop.behave(f"/{name}.jpg", wire.Versions(name.encode(), ETag='"1"'))
    first = ask(shop, "/old.jpg")
    assert not ask(shop, "/old.jpg", first.validators).is_modified
    shop.behave("/old.jpg", wire.redirect("/b.jpg"))  # whose tag is the same, by chance
    assert ask(shop, "/old.jpg", first.validators).is_modified
    assert conditions(shop)[2:] == [
        ("/old.jpg", None), ("/a.jpg", '"1"'), ("/old.jpg", None), ("/b.jpg", None),
    ]  # fmt: skip


def test_a_304_that_was_not_asked_for_is_an_error(shop: wire.Origin) -> None:
    shop.behave("/a.jpg", wire.answer(304, {"ETag": '"1"'}))
    with pytest.raises(OriginStatus):
        ask(shop, "/a.jpg")
