"""Deadlines hold, however slowly an origin goes on."""

import threading
import time

import pytest

from image_cloud import errors
from image_cloud.config.sections import Download
from image_cloud.origin.deadlines import deadlines
from image_cloud.picture.url import Url
from tests import origin as wire
from tests.fetching import SLOW, fetch, fetch_whole, impatient


@pytest.mark.parametrize("kind", SLOW)
def test_a_deadline_ends_what_no_socket_timeout_ends(
    server: wire.Origin, settings: Download, kind: str
) -> None:
    server.behave("/a", SLOW[kind])
    began_s = time.monotonic()
    with pytest.raises(errors.OriginTimeout):
        fetch(impatient(settings, read_timeout=60.0), server.url("/a"))
    assert time.monotonic() - began_s < 30


def test_redirects_share_one_deadline(server: wire.Origin, settings: Download) -> None:
    server.behave("/a", wire.slow_start(0.15, wire.redirect("/a")))
    with pytest.raises(errors.OriginTimeout):
        fetch(impatient(settings, max_redirects=20), server.url("/a"))


def test_silence_is_shorter_than_the_whole(server: wire.Origin, settings: Download) -> None:
    server.behave("/a", wire.short_body(b"", 100))
    server.behave("/a", wire.drip(wire.head(200, {"Content-Length": "9"}), b"x", every_s=30))
    with pytest.raises(errors.OriginTimeout, match="silent"):
        fetch(impatient(settings, total_timeout=60.0, read_timeout=0.2), server.url("/a"))


@pytest.mark.parametrize("length", [{}, {"Content-Length": "99"}])
def test_a_whole_picture_ends_with_a_short_silence(
    server: wire.Origin, settings: Download, length: dict[str, str]
) -> None:
    server.behave("/a", wire.raw_and_hold(wire.head(200, length) + b"whole"))
    client = impatient(settings, total_timeout=60.0, read_timeout=0.2)
    told, body = fetch_whole(client, server.url("/a"), b"whole")
    assert (body, told.length_known) == (b"whole", False)


def test_many_slow_downloads_share_one_thread(server: wire.Origin, settings: Download) -> None:
    server.behave("/a", wire.drip_body())
    client = impatient(settings, total_timeout=1.0)
    ended: list[int] = []

    def download() -> None:
        with pytest.raises(errors.OriginTimeout):
            client.download(Url.parse(server.url("/a")), lambda block: None)
        ended.append(1)

    threads = [threading.Thread(target=download) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert len(ended) == 32
    assert [t.name for t in threading.enumerate()].count("origin-deadlines") == 1
    assert not deadlines()._watched
