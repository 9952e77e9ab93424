"""What a well-behaved origin gets and gives, and what statuses mean."""

import datetime
import email.utils
from pathlib import Path

import pytest

from image_cloud import errors
from image_cloud.config.sections import Download
from image_cloud.origin import Origin
from tests import origin as wire
from tests.fetching import BODY, fetch


def test_a_picture(server: wire.Origin, client: Origin) -> None:
    url = server.serve("/a.jpg", BODY)
    told, body = fetch(client, url)
    assert body == BODY
    assert (told.content_type, told.url.text, told.length_known) == ("image/jpeg", url, True)


def test_what_is_sent(server: wire.Origin, settings: Download) -> None:
    server.serve("/a", b"x")
    client = Origin(settings, ["avif", "webp", "jpeg"])
    fetch(client, server.url("/a?b=%c3%A4&c=ä b&d=%"))
    request = server.requests[0]
    assert request.target == "/a?b=%c3%A4&c=%C3%A4%20b&d=%"
    assert request.headers == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": "ImageCloudTest/1",
        "accept": "image/avif,image/webp,image/jpeg,*/*;q=0.1",
        "accept-encoding": "identity",
    }


def test_no_proxy_netrc_or_cookie_is_used(
    server: wire.Origin, client: Origin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server.serve("/a", b"x", headers={"Set-Cookie": "seen=1"})
    fetch(client, server.url("/a"))
    fetch(client, server.url("/a"))
    assert not {"cookie", "authorization"} & server.requests[1].headers.keys()


@pytest.mark.parametrize("kind", ["text/html", "image/png", "application/x-whatever"])
def test_the_content_type_is_only_reported(server: wire.Origin, client: Origin, kind: str) -> None:
    told, body = fetch(client, server.serve("/a", b"<html>", content_type=kind))
    assert (told.content_type, body) == (kind, b"<html>")


def test_empty_body(server: wire.Origin, client: Origin) -> None:
    told, _ = fetch(client, server.serve("/a", b""))
    assert (told.bytes, told.length_known) == (0, True)


def test_chunked(server: wire.Origin, client: Origin) -> None:
    server.behave("/a", wire.chunked(b"a" * 70_000, b"b", BODY))
    for _ in range(2):
        told, body = fetch(client, server.url("/a"))
        assert body == b"a" * 70_000 + b"b" + BODY
        assert told.length_known
    assert server.connections == 1


def test_close_without_a_length_is_told(server: wire.Origin, client: Origin) -> None:
    told, body = fetch(client, server.behave("/a", wire.without_length(BODY)))
    assert (body, told.length_known) == (BODY, False)


@pytest.mark.parametrize("status", [404, 410])
def test_not_found(server: wire.Origin, client: Origin, status: int) -> None:
    server.behave("/a", wire.answer(status))
    with pytest.raises(errors.OriginNotFound) as caught:
        fetch(client, server.url("/a"))
    assert caught.value.upstream_status == status


@pytest.mark.parametrize("status", [201, 204, 206, 300, 304, 400, 401, 403, 418, 500, 502, 599])
def test_unexpected_status(server: wire.Origin, client: Origin, status: int) -> None:
    server.behave("/a", wire.answer(status, {"Retry-After": "7"}))
    with pytest.raises(errors.OriginStatus) as caught:
        fetch(client, server.url("/a"))
    assert (caught.value.upstream_status, caught.value.retry_after_s) == (status, None)


IN_AN_HOUR = "in an hour"  # a date, counted from the test and not from when pytest read it


def in_an_hour() -> str:
    return email.utils.format_datetime(
        datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1), usegmt=True
    )


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "least_s", "most_s"),
    [
        ("7", 7, 7),
        (" 0 ", 0, 0),
        ("999999", 86400, 86400),
        (IN_AN_HOUR, 3000, 3600),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0, 0),
    ],
)
def test_retry_after(
    server: wire.Origin, client: Origin, status: int, header: str, least_s: float, most_s: float
) -> None:
    value = in_an_hour() if header == IN_AN_HOUR else header
    server.behave("/a", wire.answer(status, {"Retry-After": value}))
    with pytest.raises(errors.OriginStatus) as caught:
        fetch(client, server.url("/a"))
    assert caught.value.retry_after_s is not None
    assert least_s <= caught.value.retry_after_s <= most_s


@pytest.mark.parametrize("header", ["", "soon", "-1", "1.5", "9" * 20, "Sun, 99 Nov 1994 08:49:37"])
def test_retry_after_that_says_nothing(server: wire.Origin, client: Origin, header: str) -> None:
    server.behave("/a", wire.answer(429, {"Retry-After": header}))
    with pytest.raises(errors.OriginStatus) as caught:
        fetch(client, server.url("/a"))
    assert caught.value.retry_after_s is None
