"""What a URL is taken for, and what of it goes on the wire."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_cloud.errors import BadParameter, UrlForbidden
from image_cloud.picture.key import key_of
from image_cloud.picture.url import Url, is_address


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "target", "host_header"),
    [
        ("http://shop.example", "http", "shop.example", 80, "/", "shop.example"),
        ("HTTPS://Shop.Example/A.jpg", "https", "shop.example", 443, "/A.jpg", "shop.example"),
        ("http://shop.example:80/a", "http", "shop.example", 80, "/a", "shop.example"),
        ("http://shop.example:/a", "http", "shop.example", 80, "/a", "shop.example"),
        ("http://shop.example:8080/a", "http", "shop.example", 8080, "/a", "shop.example:8080"),
        ("https://shop.example:80/a", "https", "shop.example", 80, "/a", "shop.example:80"),
        ("http://shop.example./a", "http", "shop.example", 80, "/a", "shop.example."),
        ("https://shop.example.:81/a", "https", "shop.example", 81, "/a", "shop.example.:81"),
        ("http://shop.example:00081/a", "http", "shop.example", 81, "/a", "shop.example:81"),
        (" \r\n\thttp://shop.example/a \x01\n", "http", "shop.example", 80, "/a", "shop.example"),
        ("http://%73hop%2eexample/a", "http", "shop.example", 80, "/a", "shop.example"),
        ("http://img_1.shop.example/a", "http", "img_1.shop.example", 80, "/a", None),
        ("http://bücher.example/a", "http", "xn--bcher-kva.example", 80, "/a", None),
        ("http://例え。テスト/a", "http", "xn--r8jz45g.xn--zckzah", 80, "/a", None),
        ("http://faß.example/a", "http", "xn--fa-hia.example", 80, "/a", None),
        ("http://i❤.example/a", "http", "xn--i-7iq.example", 80, "/a", None),
        (
            "http://img_1.b%C3%BCcher.example/a",
            "http",
            "img_1.xn--bcher-kva.example",
            80,
            "/a",
            None,
        ),
        ("http://[2001:DB8::1]:81/a", "http", "2001:db8::1", 81, "/a", "[2001:db8::1]:81"),
        ("http://[::ffff:127.0.0.1]/a", "http", "::ffff:7f00:1", 80, "/a", None),
        ("http://x.example?a=1", "http", "x.example", 80, "/?a=1", None),
        ("http://x.example#top", "http", "x.example", 80, "/", None),
        ("http://x.example/a?#top", "http", "x.example", 80, "/a?", None),
        ("http://x.example/a?b=//c@d:e#f?g", "http", "x.example", 80, "/a?b=//c@d:e", None),
    ],
)
def test_parts(
    url: str, scheme: str, host: str, port: int, target: str, host_header: str | None
) -> None:
    parsed = Url.parse(url)
    assert (parsed.scheme, parsed.host, parsed.port, parsed.target) == (scheme, host, port, target)
    assert (parsed.text, str(parsed), parsed.key) == (url, url, key_of(url))
    assert host_header is None or parsed.host_header == host_header


@pytest.mark.parametrize(
    ("given_path", "wire"),
    [
        ("/a b", "/a%20b"),
        ("/ä?q=ü", "/%C3%A4?q=%C3%BC"),
        ("/%c3%A4", "/%c3%A4"),
        ("/100%?a=100%", "/100%?a=100%"),
        ("/%zz%4", "/%zz%4"),
        ("/%2541", "/%2541"),
        ("/a/../b/./c//d", "/b/c//d"),
        ("/../a/%2E%2e/b/.%2E/..", "/"),
        ("/a/b/%2e", "/a/b/"),
        ("/a/.../.b/c./%252e/", "/a/.../.b/c./%252e/"),
        ("/a?b/../c", "/a?b/../c"),
        ("/a+b;c=d&e='f[g]|~", "/a+b;c=d&e='f[g]|~"),
        ('/"<>^`{}', "/%22%3C%3E%5E%60%7B%7D"),
        ("/?\"<>'^`{}|[]", "/?%22%3C%3E%27^`{}|[]"),
        ("/😀", "/%F0%9F%98%80"),
    ],
)
def test_target_is_a_browsers(given_path: str, wire: str) -> None:
    assert Url.parse("http://x.example" + given_path).target == wire


ODD_IPV4 = [
    "127.1",
    "0x7f.1",
    "0X7F.0.0.1",
    "2130706433",
    "0x7f000001",
    "017700000001",
    "0177.0.0.1",
    "127.0.0.01",
    "127.0.0.1.",
    "１２７.０.０.１",
    "127。0。0。1",
    "%3127.0.0.1",
    "127%2e0.0.1",
]


@pytest.mark.parametrize("host", ODD_IPV4)
def test_odd_ipv4_is_refused(host: str) -> None:
    with pytest.raises(BadParameter, match=r"^url: the host .*; allowed is IPv4 as four decimal"):
        Url.parse(f"http://{host}/")


@pytest.mark.parametrize("host", ["10.0.0.1", "[::1]", "[2001:db8::a]"])
def test_an_address_is_told_from_a_name(host: str) -> None:
    assert is_address(Url.parse(f"http://{host}/").host)


@pytest.mark.parametrize("host", ["10.example", "a.b", "1.2.3.4.example", "x0", "xn--bcher-kva.de"])
def test_a_name_is_no_address(host: str) -> None:
    assert not is_address(Url.parse(f"http://{host}/").host)


def test_urls_are_equal_by_their_text_alone() -> None:
    assert Url.parse("http://a.example/") == Url.parse("http://a.example/")
    assert Url.parse("http://a.example/") != Url.parse("http://A.example/")
    assert len({Url.parse("http://a.example/b"), Url.parse("http://a.example/b")}) == 1


def test_a_url_is_hashed_once() -> None:
    url = Url.parse("http://a.example/")
    assert url.key is url.key


MALFORMED = [
    "",
    "shop.example/a.jpg",
    "/a.jpg",
    "//shop.example/a.jpg",
    "http:shop.example/a.jpg",
    "http:/shop.example/a.jpg",
    "http://",
    "http:///a.jpg",
    "http://?a",
    "http://:80/",
    "http://./",
    "http://shop.example\\@evil.example/",
    "http://shop.example/a\\b",
    "http://user@shop.example/",
    "http://user:secret@shop.example/",
    "http://shop.example:80@evil.example/",
    "http://shop.example/a\nb",
    "http://shop.example/a\tb",
    "http://shop.example\n/a",
    "ht\ntp://shop.example/a",
    " http://shop.example/\x00",
    " \n",
    "\u3000http://shop.example/",
    "http://shop.example/a\rb",
    "http://shop.example/\x00",
    "http://shop.example/\x7f",
    "http://shop.example/\x85",
    "http://shop.example/\ud800",
    "http://shop .example/",
    "http://shop.example /",
    "http://shop\u3000.example/",
    "http://shop..example/",
    "http://shop%2e%2eexample/",
    "http://shop.example../",
    "http://shop%00.example/",
    "http://shop%2f.example/",
    "http://user%40shop.example/",
    "http://%ff.example/",
    "http://[::1%5D/",
    "http://\xad/",
    "http://xn--a.bücher/",
    "http://1a.אב/",
    "http://क\u094d\u200cष\u200d/",
    "http://.shop.example/",
    "http://shop.example:0/",
    "http://shop.example:00000/",
    "http://shop.example:65536/",
    "http://shop.example:655360/",
    "http://shop.example:-1/",
    "http://shop.example:+80/",
    "http://shop.example:8_0/",
    "http://shop.example:٨٠/",
    "http://shop.example:80:80/",
    "http://[::1/",
    "http://::1/",
    "http://[::1]x/",
    "http://[::1]:x/",
    "http://[]/",
    "http://[127.0.0.1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[v1.x]/",
    "http://[::1]]/",
    "http://256.1.1.1/",
    "http://1.2.3.4.5/",
    "http://09.1.1.1/",
    "http://4294967296/",
    "http://a.b.0x/",
    "http://" + "a" * 64 + ".example/",
    "http://" + "a." * 130 + "example/",
    "http://\u200d.example/",
    "http://xn--\u00e4.example/",
    "http://x.example/" + "a" * 8000,
]


@pytest.mark.parametrize("url", MALFORMED)
def test_malformed_is_refused(url: str) -> None:
    with pytest.raises(BadParameter, match=r"^url: .*; allowed is ") as caught:
        Url.parse(url)
    assert len(caught.value.detail) < 400


@pytest.mark.parametrize(
    "url", ["ftp://x.example/a", "file:///etc/passwd", "javascript:alert(1)", "data:,a", "ws://x/"]
)
def test_other_schemes_are_forbidden(url: str) -> None:
    with pytest.raises(UrlForbidden, match=r"^url: "):
        Url.parse(url)


@pytest.mark.parametrize("url", [url for url in MALFORMED if "secret" in url])
def test_a_password_is_never_repeated(url: str) -> None:
    with pytest.raises(BadParameter) as caught:
        Url.parse(url)
    assert "secret" not in caught.value.detail


def test_the_longest_url_is_taken() -> None:
    url = "http://x.example/"
    assert Url.parse(url + "a" * (8000 - len(url))).port == 80


@given(st.text(min_size=1), st.text(alphabet=string.printable))
def test_any_text_is_parsed_or_refused(authority: str, path: str) -> None:
    for url in (authority, "http://" + authority, f"http://x.example/{path}"):
        try:
            parsed = Url.parse(url)
        except (BadParameter, UrlForbidden):
            continue
        assert parsed.host == parsed.host.lower()
        assert parsed.host.isascii()
        assert 1 <= parsed.port <= 65535
        assert all("!" <= character <= "~" for character in parsed.target)
