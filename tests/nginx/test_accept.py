"""`auto`: nginx alone and Python decide alike, whatever the header Accept looks like."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import SETTINGS
from tests.frontdoor.client import eventually, jpeg
from tests.nginx.test_hot_path import Ways
from tests.nginx.wire import Wire
from tests.origin import Origin
from tests.stack.running import Stack

EXAMPLES = 1500
AUTO = "resize.auto_formats=avif, webp, jpeg;resize.thumbnail_format=auto;http.allow_origins=*"
TYPES = ("image/avif", "image/webp", "image/jpeg")
TARGETS = (
    "/get_thumbnail?url={url}",
    "/iproxy.php?format=auto&size=100&url={url}",
    "/get_image?url={url}&resize_width=40&format_when_resize=auto",
    "/get_image?url={url}&trim=1&format_when_resize=auto&background=ff0000",
)
ASIDE = "&only_send_if_local=FALSE&size=0200"
"""Makes nearly all of them the front pool's business."""
PIECES = [
    *TYPES * 3, "image/*", "*/*", "IMAGE/AVIF", "Image/Webp", "image/webp2", "text/html", "image/",
    ",", ",", ",", ";", ";", "=", " ", "\t", ";q=0", ";q=0.5", ";q=1", "; Q = 0.001", ";q=0.",
    ";q=.0", ";q=.7", ";q=-1",
    ";q=", ";q", ";q=1;q=0", ";q=1.0.0", ";level=1", ";x=\"", "\"", "\\", "\\\"",
    ",image/avif;q=0", "é", "q=0",
]  # fmt: skip


@pytest.fixture(scope="module")
def ways() -> Iterator[Ways]:
    with (
        tempfile.TemporaryDirectory(prefix="image-cloud-") as folder,
        Stack(Path(folder) / "home", settings=f"{SETTINGS};{AUTO}") as stack,
        Origin() as origin,
    ):
        yield Ways(stack, [origin.serve("/auto.jpg", jpeg(300, 200))])


def test_hostile_headers(ways: Ways) -> None:
    targets = [one.format(url=quote(ways.urls[0], "")) for one in TARGETS]
    for target in targets:
        for kind in TYPES:
            assert ways.nginx.get(target.encode(), headers={"Accept": kind})[0] == 200
    ways.believe()
    before, seen = ways.by_nginx_alone(), set()

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(st.sampled_from(PIECES) | st.text('aq01/;,="\\ *.', max_size=4), max_size=7).map("".join),
        st.sampled_from(targets), st.sampled_from(["", "", "", ASIDE]),
    )  # fmt: skip
    def compare(accept: str, target: str, aside: str) -> None:
        headers = {"Accept": accept.strip(" \t")}
        asked = (target + (aside if "size" not in target else "")).encode()
        assert ways.check(asked, headers), (target, accept)
        status, came, _ = ways.nginx.get(asked, headers=headers)
        assert (status, came["vary"]) == (200, "Accept"), (target, accept)
        assert came["access-control-allow-origin"] == "*"  # and then Origin decides on nothing
        seen.add(came["content-type"])

    compare()
    assert seen == set(TYPES)
    eventually(lambda: ways.by_nginx_alone() - before > EXAMPLES, "nginx answered most alone")


def test_a_header_in_two_lines_is_one_list(ways: Ways) -> None:
    ways.believe()
    target = f"/get_thumbnail?url={quote(ways.urls[0], '')}"
    for lines, kind in (
        ("text/html\r\nAccept: image/webp", "image/webp"),
        ("image/webp\r\nACCEPT: image/avif", "image/avif"),
        ("*/*\r\nAccept: x", "image/jpeg"),
    ):
        wire = Wire(ways.stack.listen, ways.stack.token)
        status, came, _ = wire.get(target.encode(), headers={"Accept": lines})
        wire.close()
        assert (status, came["content-type"], came["vary"]) == (200, kind, "Accept")


def test_an_overlong_header_is_none(ways: Ways) -> None:
    target = f"/get_thumbnail?url={quote(ways.urls[0], '')}"
    for aside in ("", "&size=0200"):
        accept = {"Accept": "image/avif," + "x" * 5000}
        status, came, _ = ways.nginx.get((target + aside).encode(), headers=accept)
        assert (status, came["content-type"], came["vary"]) == (200, "image/jpeg", "Accept")
