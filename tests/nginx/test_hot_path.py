"""nginx alone and Python give the same answer, whatever the query looks like."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, quote_plus, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from image_cloud.config.sections import ENCODABLE, Resize
from image_cloud.picture.key import fan_out, key_of
from image_cloud.request.parameter import Parameter
from image_cloud.request.params import ImageParameters, ThumbnailParameters
from image_cloud.storage.local.checks import Seen
from tests.frontdoor.client import eventually, get, jpeg
from tests.nginx.vectors import IMAGE, THUMBNAIL
from tests.nginx.wire import Wire
from tests.origin import Origin, Versions
from tests.stack.running import Stack

EXAMPLES, MISSES = 3000, 400
NOWHERE = "http://127.0.0.1:1/"
ALONE = "127.0.0.99"  # an address of which the log has this test's lines only
NUMBER = "424242"  # in a URL: a number that no other request has
PATHS = ["/get_thumbnail", "/iproxy.php", "/get_image"] * 5
PATHS += [
    "/%67et_image",
    "/x/../get_thumbnail",
    "//get_image",
    "/get_image/",
    "/./get_image",
    "/get_image;",
]
TARGETS = ("/p.jpg", "/a b+c%20d%2Be.jpg?x=1&y=\u00e9", "/" + "l" * 900, "/x/.%2E/{p}|%zz")
ON_THE_WIRE = ("/p.jpg", "/a%20b+c%20d%2Be.jpg", "/" + "l" * 900, "/%7Bp%7D|%zz")
ASIDE = "/get_thumbnail?url={url}&size=0250"  # good for Python, odd for nginx


class Ways:
    """The two ways to one answer, and what nginx noted of its own."""

    def __init__(self, stack: Stack, urls: list[str]) -> None:
        self.stack, self.urls = stack, urls
        self.storage = stack.home / "storage"
        self.nginx = Wire(stack.listen, stack.token)
        self.front = Wire(stack.home / "run/sockets/front.sock", stack.token)

    def believe(self, token: str | None = None) -> None:
        """Have every worker of nginx learn that the token reads."""
        wanted = f"/get_thumbnail?url={quote(self.urls[0], '')}".encode()
        token = token or self.stack.token

        def alone() -> bool:
            wires = [Wire(self.stack.listen, token) for _ in range(8)]
            before = self.by_nginx_alone()
            for wire in wires:
                assert wire.get(wanted)[0] == 200
                wire.close()
            return bool(
                eventually(lambda: self.by_nginx_alone() - before, "the log is written") >= 4
            )

        eventually(alone, "nginx answers alone")

    def by_nginx_alone(self) -> int:
        log = (self.stack.home / "log/nginx/access.log").read_bytes()
        return log.count(b'"cache":"HIT","client"')

    def misses(self, client: str = "127.0.0.1") -> list[str]:
        """Return by which pools each miss of `client` became a picture: `fetch`, or `front, fetch`."""
        log = (self.stack.home / "log/nginx/access.log").read_text()
        lines = [json.loads(line) for line in log.splitlines() if '"cache":"RESIZED"' in line]
        ways = {1: "fetch", 2: "front, fetch"}
        return [ways[one["upstream_status"].count(200)] for one in lines if one["client"] == client]

    def check_miss(self, target: bytes, headers: dict[str, str] | None = None) -> bool:
        """Compare the answer to `target` with what the front pool decides; say whether it sends to fetch."""
        status, front_came, _ = self.front.get(target, headers=headers)
        address, _, query = front_came.get("x-accel-redirect", "").partition("?")
        if address != "/_fetch":
            self.check(target, headers)
            return False
        wanted = {name: values[0] for name, values in parse_qs(query).items()}
        status, came, body = self.nginx.get(target, headers=headers)
        key = key_of(wanted["url"])
        original = self.storage / f"originals/{fan_out(key)}/{key}.jpg"
        if status >= 400 or came.get("x-cache") == "FALLBACK":  # what no origin has
            assert NOWHERE in wanted["url"], target
            self.check(target, headers)
        elif wanted["no_image"] == "1":
            assert (status, body) == (204, b""), target
            assert original.exists()
        elif "variant" in wanted:
            made = self.storage / f"variants/{fan_out(key)}/{key}/{wanted['variant']}"
            assert (status, body, came["x-cache"]) == (200, made.read_bytes(), "RESIZED"), target
        else:
            assert (status, body, came["x-cache"]) == (200, original.read_bytes(), "MISS"), target
        return True

    def check(self, target: bytes, headers: dict[str, str] | None = None) -> bool:
        """Compare the answers to `target`; say whether it was a picture."""
        status, came, body = self.nginx.get(target, headers=headers)
        front_status, front_came, front_body = self.front.get(target, headers=headers)
        redirect = front_came.get("x-accel-redirect", "")
        if redirect.startswith("/_files/"):
            assert status == 200, (target, status, body)
            stored = self.storage / redirect.removeprefix("/_files/")
            assert body == stored.read_bytes(), target
            assert came["content-type"] == front_came["content-type"], target
            return True
        if redirect:  # a miss: not what nginx may answer alone
            assert came.get("x-cache") != "HIT", (target, redirect)
            return False
        assert status == front_status, (target, status, front_status, body, front_body)
        if status >= 400 and all(0x21 <= byte <= 0x7E for byte in target):
            assert json.loads(body)["code"] == json.loads(front_body)["code"], target
            assert json.loads(body)["detail"] == json.loads(front_body)["detail"], target
        return False


@pytest.fixture(scope="module")
def ways(stack: Stack) -> Iterator[Ways]:
    with Origin() as origin:
        urls = [origin.url(target) for target in TARGETS]
        urls[-1] = f" \n\x01{urls[-1]}#top \r\n"
        for number, target in enumerate(ON_THE_WIRE):
            origin.serve(target, jpeg(300, 200, seed=number))
        both = Ways(stack, urls)
        for url in urls:
            for query, meaning in THUMBNAIL:
                _make(stack, "/get_thumbnail", query, meaning, url)
            for query, meaning in IMAGE:
                _make(stack, "/get_image", query, meaning, url)
        yield both


def _make(stack: Stack, path: str, query: str, meaning: str, url: str) -> None:
    if "." in meaning or meaning == "original":
        wire = Wire(stack.listen, stack.token)
        status, _, body = wire.get(f"{path}?{query.format(url=quote(url, ''))}".encode())
        wire.close()
        assert status == 200, (query, body)


@pytest.mark.parametrize("path", ["/get_thumbnail", "/get_image"])
@pytest.mark.parametrize("number", range(len(TARGETS)))
def test_the_vectors(path: str, number: int, ways: Ways) -> None:
    ways.believe()
    url = ways.urls[number]
    for query, meaning in IMAGE if path == "/get_image" else THUMBNAIL:
        target = f"{path}?{query.format(url=quote(url, ''))}".encode()
        assert ways.check(target) == (meaning == "original" or "." in meaning), target
        if "." in meaning:
            stored = ways.storage / f"variants/{fan_out(key_of(url))}/{key_of(url)}/{meaning}"
            assert ways.nginx.get(target)[2] == stored.read_bytes()


def test_odd_queries(ways: Ways) -> None:
    ways.believe()
    before, pictures = ways.by_nginx_alone(), 0
    kept = ways.stack.token

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(_queries(ways.urls), st.sampled_from(PATHS), _tokens(kept))
    def compare(query: bytes, path: str, headers: dict[str, str]) -> None:
        nonlocal pictures
        if headers.pop("in the query", ""):
            query += b"&token=" + kept.encode()
        pictures += ways.check(path.encode() + b"?" + query, headers)

    compare()
    # The test would say nothing if all went wrong, or if Python answered everything.
    assert pictures > EXAMPLES / 10
    eventually(lambda: ways.by_nginx_alone() - before > EXAMPLES / 30, "nginx answered many alone")


def test_odd_queries_for_what_is_nowhere(ways: Ways, origin: Origin) -> None:
    url = origin.serve("/miss.jpg", jpeg(300, 200)) + f"?n={NUMBER}"
    ways.believe()
    before, number, fetched = len(ways.misses()), 0, 0

    @settings(max_examples=MISSES, suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(_queries([url]), st.sampled_from(PATHS), _tokens(ways.stack.token))
    def compare(query: bytes, path: str, headers: dict[str, str]) -> None:
        nonlocal number, fetched
        number += 1
        if headers.pop("in the query", ""):
            query += b"&token=" + ways.stack.token.encode()
        target = path.encode() + b"?" + query.replace(NUMBER.encode(), str(number).encode())
        fetched += ways.check_miss(target, headers)

    compare()
    assert fetched > MISSES / 10
    eventually(
        lambda: ways.misses()[before:].count("fetch") > MISSES / 20, "many went straight to fetch"
    )


def test_which_way_a_miss_goes(stack: Stack, ways: Ways, origin: Origin) -> None:
    origin.serve("/way.jpg", jpeg(300, 200))
    numbers = iter(range(1000))

    def way(wire: Wire, parameters: str = "", method: str = "GET") -> str:
        url = quote(f"{origin.url('/way.jpg')}?{next(numbers)}", "")
        before = len(ways.misses(ALONE))
        assert wire.get(f"/get_thumbnail?url={url}{parameters}".encode(), method)[0] == 200
        eventually(lambda: len(ways.misses(ALONE)) == before + 1, "the log is written")
        return ways.misses(ALONE)[-1]

    ways.believe()
    known = Wire(stack.listen, stack.token, ALONE)
    eventually(lambda: way(known) == "fetch", "the worker of this connection knows the token")
    assert way(known, method="HEAD") == "fetch"
    for aside in (
        "&size=0250", "&use_alternative_clouds=true", "&only_send_if_local=false", "&max_age=90000",
    ):  # fmt: skip
        assert way(known, aside) == "front, fetch"
    token = stack.cli("token", "add", "misses-only", "read").strip()
    wire = Wire(stack.listen, token)
    target = f"/get_thumbnail?url={quote(ways.urls[0], '')}&size=0100".encode()
    eventually(lambda: wire.get(target)[0] == 200, "the token is known")
    fresh = Wire(stack.listen, token, ALONE)
    eventually(lambda: way(fresh) == "fetch", "misses alone tell nginx that the token reads")
    stack.cli("token", "revoke", "misses-only")
    eventually(lambda: fresh.get(target)[0] == 401, "the token is dead")


def test_nginx_and_python_agree_on_what_is_old(stack: Stack, ways: Ways, origin: Origin) -> None:
    """The origin is asked where the picture is old, and nginx alone answers where it is not."""
    url = origin.behave("/aging.jpg", Versions(jpeg(300, 200), ETag='"1"'))
    key = key_of(url)
    checked = ways.storage / "checked" / fan_out(key) / key
    for path, method in (("/get_thumbnail", "GET"), ("/refresh_image", "POST")):
        assert get(stack, path, method, url=url).status_code == 200
    ways.believe()
    before, young = ways.by_nginx_alone(), 0
    for age_s, nanoseconds, max_age in itertools.product(
        (0.2, 990, 1010, -50), (0, 1, 999_999_999), (0, 1000, 100_000)
    ):
        at_ns = int(time.time() - age_s) * 10**9 + nanoseconds
        os.utime(checked, ns=(at_ns, at_ns))
        age_s = time.time() - at_ns / 1e9
        if min(abs(age_s - limit) for limit in (max_age, 1.0)) < 0.5:
            continue  # too close to say
        is_old = Seen(at_ns / 1e9, by_check=nanoseconds != 0).is_over(max_age, 1.0, time.time())
        count = origin.count("/aging.jpg")
        target = f"/get_thumbnail?url={quote(url, '')}&max_age={max_age}".encode()
        assert ways.nginx.get(target)[0] == 200
        assert origin.count("/aging.jpg") - count == is_old, (age_s, nanoseconds, max_age)
        young += not is_old
    assert young > 12
    eventually(lambda: ways.by_nginx_alone() >= before + young, "nginx answered alone")


def _tokens(token: str) -> st.SearchStrategy[dict[str, str]]:
    none = {"X-Image-Cloud-Token": ""}
    return st.sampled_from(
        [{}] * 12
        + [
            none,
            none | {"Authorization": f"Bearer {token}"},
            none | {"Authorization": f"bearer  {token} "},
            none | {"Authorization": "Bearer wrong"},
            {"Authorization": "Basic wrong"},
            {"X-Image-Cloud-Token": "wrong"},
            none | {"in the query": "yes"},
            {"in the query": "yes"},
        ]
    ).map(dict)


def _table() -> list[Parameter[Any]]:
    """Return all that the paths know but the URL itself, from the tables that Python reads by."""
    tables = ImageParameters(Resize(), ENCODABLE), ThumbnailParameters(Resize())
    return [one for table in tables for one in table.all() if one.name != "url"]


def _part(parameter: Parameter[Any]) -> st.SearchStrategy[str]:
    """Yield the parameter with values that are good, and some that are nearly so."""
    names = st.sampled_from([parameter.name, *parameter.spellings])
    return st.builds("{}={}".format, names, _values(parameter))


def _values(parameter: Parameter[Any]) -> st.SearchStrategy[str]:
    if parameter.name in SPELT:
        return st.sampled_from(SPELT[parameter.name])
    schema = parameter.schema()
    odd = st.sampled_from(["", "x", "%31", "4%200", "\u0664", "-1", "200%", "1" * 30])
    if schema["type"] == "boolean":
        good = ["true", "false", "1", "0", "true", "1"]
        odd |= st.sampled_from(["TRUE", "False", "yes", "2"])
    elif "enum" in schema:
        good = [str(value) for value in schema["enum"]]
        odd |= st.sampled_from([good[0].upper(), f"0{good[0]}", "exe", f"%3{good[0]}"])
    else:
        good = ["40", "30", str(schema["minimum"])]
        most = schema["maximum"]
        odd |= st.sampled_from(["040", "4e1", "%340", "0", str(most), str(most + 1)])
    return st.sampled_from(good) | st.sampled_from(good) | st.sampled_from(good) | odd


SPELT = {
    "focus": [
        "0,0", "0.5,0.5", "1,0.25", "0.007,1.000", "0.1%2C0.9", "1%2c1", "0.5,1.001", "0.1234,0", "",
        ".5,.5", "0,", "+0,0", "0,0,0", "00,0",
    ],
    "background": [
        "ff0000", "FFFFFF", "00fF7a", "ffffff", "000000", "fff", "%66f0000", "", "ff00000", "%23ff0000",
    ],
    "max_age": ["90000", "2147483647", "2147483648", "090000", "9%30000", "", "-1", "9e9"],
}  # fmt: skip
"""Values of what the table describes by a pattern alone, and where small ones would ask the origin."""
BOXES = ["resize_width=40&resize_height=30", "resize_mode=crop&resize_width=40&resize_height=30"]
ODD = [
    *BOXES * 3, "_=17", "x=%zz", "SIZE=100", "Url=http://b/", "", "=", "&", "size", "%73ize=100",
    "%75rl=http://c/", "url=http://d/", "expires=1", "client=page", "signature=00", "token=wrong",
    "u+rl=1", "size%00=1", "x#y", "%=1", "%FF=%FF", "a=b=c", ";size=100", "url%5B%5D=1",
]  # fmt: skip


def _queries(urls: list[str]) -> st.SearchStrategy[bytes]:
    """Yield queries: mostly sensible, each a little odd."""
    quoted = [quote(url, "") for url in urls]
    quoted += [quote(url, "/:") for url in urls] + [quote_plus(url) for url in urls]
    quoted += [one.lower() for one in quoted[:1]] + [
        quote(urls[0] + "x", ""),
        NOWHERE,
    ]
    good_url = st.sampled_from(quoted)
    parts = st.one_of(
        *(_part(parameter) for parameter in _table()),
        st.sampled_from(ODD),
        st.text("ab%&=+1/?:;.-_é\\\"'<>|^`{}[]~", max_size=8),
    )
    return st.builds(
        lambda before, url, tail, after: "&".join([*before, f"url={url}{tail}", *after]).encode(),
        st.lists(parts, max_size=2), good_url,
        st.sampled_from([""] * 12 + ["%", "%0", "%zz", "%ff", "%00", "#", "#x", "+", "%2", "é", "%0D%0A",
                                    "%20%01", "%0Ax", "%23", "%5C"]),
        st.lists(parts, max_size=3),
    )  # fmt: skip


def test_the_same_headers_on_both_ways(ways: Ways) -> None:
    ways.believe()
    url = quote(ways.urls[0], "")
    alone, aside = f"/get_thumbnail?url={url}&size=250".encode(), ASIDE.format(url=url).encode()
    whole = ways.nginx.get(alone)
    tag = whole[1]["etag"]
    requests: list[tuple[str, dict[str, str]]] = [
        ("GET", {}), ("HEAD", {}),
        ("GET", {"Range": "bytes=10-19"}), ("GET", {"Range": "bytes=0-1,5-6"}),
        ("GET", {"Range": "bytes=-5"}),
        ("GET", {"Range": "bytes=9999999-"}), ("GET", {"Range": "bytes=x"}),
        ("GET", {"Range": "bytes=1-2", "If-Range": tag}),
        ("GET", {"Range": "bytes=1-2", "If-Range": '"x"'}),
        ("GET", {"If-None-Match": tag}), ("GET", {"If-None-Match": '"x"'}), ("HEAD", {"If-None-Match": tag}),
        ("GET", {"If-Modified-Since": whole[1]["last-modified"]}), ("GET", {"If-Match": '"x"'}),
        ("GET", {"If-Unmodified-Since": "Thu, 01 Jan 1998 00:00:00 GMT"}),
        ("PUT", {}), ("DELETE", {}), ("OPTIONS", {}), ("POST", {"Content-Length": "0"}),
    ]  # fmt: skip
    for method, headers in requests:
        one, other = (
            _comparable(ways.nginx.get(target, method, headers)) for target in (alone, aside)
        )
        assert one == other, (method, headers)


def _comparable(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, dict[str, str], bytes]:
    """Drop what no two answers share: time, ids, the random boundary of two ranges."""
    status, headers, body = answer
    headers = {
        name: value for name, value in headers.items() if name not in ("date", "x-request-id")
    }
    if "boundary=" in headers.get("content-type", ""):
        boundary = headers["content-type"].partition("boundary=")[2]
        headers["content-type"] = headers["content-type"].replace(boundary, "")
        body = body.replace(boundary.encode(), b"")
    if headers.get("content-type") == "application/problem+json" and body:
        body = json.dumps(json.loads(body) | {"request_id": ""}).encode()
        headers.pop("content-length")
    return status, headers, body


def test_a_deleted_picture_is_not_sent_again(stack: Stack, ways: Ways, origin: Origin) -> None:
    content = jpeg(300, 200, seed=77)
    url = origin.serve("/deleted.jpg", content)
    ways.believe()
    for _ in range(4):
        assert get(stack, "/get_thumbnail", url=url).status_code == 200
    assert get(stack, "/get_thumbnail", url=url).headers["X-Cache"] == "HIT"
    key = key_of(url)
    shutil.rmtree(ways.storage / f"variants/{fan_out(key)}/{key}")
    Path(ways.storage / f"originals/{fan_out(key)}/{key}.jpg").unlink()
    answer = get(stack, "/get_thumbnail", url=url)
    assert (answer.status_code, answer.headers["X-Cache"]) == (200, "RESIZED")
    assert origin.count("/deleted.jpg") == 2


def test_a_file_that_stays_open_is_not_sent_once_its_name_is_anothers(
    stack: Stack, ways: Ways, origin: Origin
) -> None:
    url = origin.serve("/kept-open.jpg", jpeg(300, 200, seed=78))
    ways.believe()
    key = key_of(url)
    variant = ways.storage / f"variants/{fan_out(key)}/{key}/200x200-fit-q85.jpg"
    for seed in range(4):
        for _ in range(8):  # each worker has it open
            kept = get(stack, "/get_thumbnail", url=url).content
        other = jpeg(200, 133, seed=seed)
        new = variant.with_name("new")
        new.write_bytes(other)
        new.rename(variant)
        assert other != kept
        for _ in range(8):
            answer = get(stack, "/get_thumbnail", url=url)
            assert (answer.content, answer.headers["X-Cache"]) == (other, "HIT")
    variant.unlink()
    answer = get(stack, "/get_thumbnail", url=url)
    assert (answer.content == other, answer.headers["X-Cache"]) == (False, "RESIZED")


def test_a_revoked_token_is_dead_soon(stack: Stack, ways: Ways) -> None:
    token = stack.cli("token", "add", "short-lived", "read").strip()
    wire = Wire(stack.listen, token)
    target = f"/get_thumbnail?url={quote(ways.urls[0], '')}".encode()
    eventually(lambda: wire.get(target)[0] == 200, "the token is known")
    ways.believe(token)
    stack.cli("token", "revoke", "short-lived")
    eventually(lambda: wire.get(target)[0] == 401, "the token is dead")
    assert all(wire.get(target)[0] == 401 for _ in range(20))


def test_no_scope_no_picture(stack: Stack, ways: Ways) -> None:
    token = stack.cli("token", "add", "no-reader", "prefetch", "ops").strip()
    wire = Wire(stack.listen, token)
    target = f"/get_thumbnail?url={quote(ways.urls[0], '')}".encode()
    eventually(lambda: wire.get(target)[0] == 403, "the token is known")
    ways.believe()
    assert all(wire.get(target)[0] == 403 for _ in range(20))
    stack.cli("token", "revoke", "no-reader")


def test_a_signed_url_opens_nothing_else(stack: Stack, ways: Ways) -> None:
    stack.cli("token", "add", "signing-page", "read")
    path = "/get_thumbnail?" + urlencode({"url": ways.urls[0], "size": 100})
    signed = stack.cli("sign", "--client", "signing-page", "--expires", "1 h", path).strip()
    target = signed.removeprefix(stack.url).encode()
    wire = Wire(stack.listen, "")
    eventually(lambda: wire.get(target)[0] == 200, "the client is known")
    for _ in range(10):
        assert wire.get(target)[0] == 200
        assert wire.get(target.replace(b"size=100", b"size=250"))[0] == 403
        assert wire.get(path.encode())[0] == 401
    stack.cli("token", "revoke", "signing-page")


def test_the_verdict_stays_between_nginx_and_the_pools(ways: Ways) -> None:
    odd = ASIDE.format(url=quote(ways.urls[0], ""))
    for path in ("/ready", "/get_image", "/get_thumbnail?url=x", "/nowhere", odd):
        assert "x-image-cloud-verdict" not in ways.nginx.get(path.encode())[1]
