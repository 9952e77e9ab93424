"""What we make of odd URLs against a parser of the WHATWG URL standard, the one that browsers follow.

Where both read a URL, they read the same; what we refuse beyond the standard stands in REASONS.
"""

import itertools
import random
import re
import unicodedata

import ada_url
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from image_cloud.errors import BadParameter, UrlForbidden
from image_cloud.picture.address.location import resolve
from image_cloud.picture.url import Url

PIECES = [
    "http:", "https:", "HTTP:", "ftp:", "javascript:", "//", "/", "\\", "\\\\", "@", "u:p@", "?", "#",
    ":", ":80", ":443", ":0", ":00080", ":65535", ":65536", ".", "..", "%2e", ".%2E", "%2e%2e", "%", "%zz",
    "%4", "%41", "%2F", "%00", "%C3%BC", "%ff", "a", "b.example", "_", "-", "--", "xn--", "xn--a",
    "xn--bcher-kva", "bücher", "ß", "İ", "ẞ", "☃", "i❤", "क्\u200cष", "\xad",
    "\ufeff", "。", "．", "：", "／", "﹒", "１", "0x", "0x7f", "127.1", "1.2.3.4", "08", "256", "4294967296",
    "[::1]", "[1::2:3]", "[", "]", "::", "|", "^", "`", "{", "}", "'", '"', "<", ">", "!", "$", "&",
    "(", ")", "*", "+", ",", ";", "=", "~", " ", "\t", "\n", "\r", "\x00", "\x01", "\x1f", "\x7f",
    "\x80", "\xa0", "\u3000", "é", "😀", "a" * 64,
]  # fmt: skip
STARTS = ["", "http://", "https://", "http://h.example/", "http://h.example/?", "http://h.example"]
BASES = [
    "http://h.example",
    "http://h.example/a/b?c=d#e",
    "https://h.example:81/a/../x/.%2e/y/",
    "http://[::1]/a//b/c%2e?d/e",
]
HOSTS = [
    "h.example", "H.Example.", "bücher.example", "例え。テスト", "a_b.ü", "i❤.ws", "faß.de",
    "%65x.example", "xn--a.x", "127.1", "0x7f.0.0.1", "1.2.3.4", "[::]", "[1:0:0:2::3]", "[::ffff:1.2.3.4]",
]  # fmt: skip
PATHS = [
    "",
    "/",
    "/a b",
    "/a/./../b/..",
    "/%2E/a/.%2e/",
    "//../x",
    "/ä|^`{}\"'<>[]%zz%",
    "/a\\b",
    "/😀\x7f",
]
QUERIES = ["", "?", "?a b'\"<>^`{}|[]\\%zz%ä#f", "#f", "?#", "?a=../b"]

ordinary_letters = st.characters(
    exclude_categories=("Cn", "Cs", "Mn", "Mc", "Me")  # those that Unicode's versions agree on
).filter(lambda letter: unicodedata.bidirectional(letter) not in ("R", "AL", "AN"))
odd_texts = st.builds(
    lambda start, pieces: start + "".join(pieces),
    st.sampled_from(STARTS),
    st.lists(st.sampled_from(PIECES) | ordinary_letters, max_size=8),
)


def pieced_together(count: int) -> list[str]:
    dice = random.Random(17)
    return [
        dice.choice(STARTS) + "".join(dice.choices(PIECES, k=dice.randint(1, 8)))
        for _ in range(count)
    ]


def standard(text: str, base: str | None = None) -> ada_url.URL | None:
    try:
        return ada_url.URL(text, base)
    except ValueError:
        return None


def sent(url: Url) -> str:
    return f"{url.scheme}://{url.host_header}{url.target}"


def is_explained(refused: ada_url.URL | None) -> bool:
    """Say whether a URL that we refuse has no place on the wire."""
    if refused is None or refused.protocol not in ("http:", "https:"):
        return True
    is_name = re.fullmatch(r"([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?", refused.hostname)
    is_ipv6 = refused.hostname.startswith("[")
    return refused.port == "0" or not (is_name or is_ipv6) or len(refused.hostname) > 253


def is_explained_for_a_client(text: str) -> bool:
    """Say the same of what a client gave: more is refused, however browsers read it."""
    inner = text.strip("".join(map(chr, range(0x21))))
    authority = re.match(r"https?://([^/?#]+)", inner, re.IGNORECASE)
    found = standard(text)
    if "\x00" in text or re.search(r"[\x00-\x1f\x7f-\x9f\\]", inner) or not authority:
        return True
    is_odd = (
        found
        and found.host_type == ada_url.HostType.IPV4
        and authority[1].split(":")[0] != found.hostname
    )
    return is_odd or "@" in authority[1] or is_explained(found)


def check_client(text: str) -> None:
    try:
        url = Url.parse(text)
    except (BadParameter, UrlForbidden):
        assert is_explained_for_a_client(text)
        return
    theirs = standard(text)
    assert theirs
    assert sent(url) == theirs.href.partition("#")[0]
    assert url.text == text


def check_location(base: str, location: str) -> None:
    theirs = standard(location, base)
    try:
        url = resolve(Url.parse(base), location)
    except (BadParameter, UrlForbidden):
        assert "@" in location or is_explained(theirs)
        return
    assert theirs
    assert url.text == sent(url) == theirs.href.partition("#")[0]


def test_thousands_of_odd_urls() -> None:
    for text in pieced_together(20000):
        check_client(text)


def test_thousands_of_odd_locations() -> None:
    for base, text in zip(itertools.cycle(BASES), pieced_together(20000)):
        check_location(base, text)


def test_every_host_with_every_path_and_query() -> None:
    for scheme, host, port, path, query in itertools.product(
        ("http://", "HTTPS://", " \n\x01http://"),
        HOSTS,
        ("", ":", ":80", ":443", ":0081"),
        PATHS,
        QUERIES,
    ):
        check_client(scheme + host + port + path + query)
        check_client(scheme + host + port + path + query + "\r\n ")


@given(odd_texts)
@settings(derandomize=True, max_examples=300)
def test_any_text(text: str) -> None:
    check_client(text)


@given(st.sampled_from(BASES), odd_texts)
@settings(derandomize=True, max_examples=300)
def test_any_location(base: str, text: str) -> None:
    check_location(base, text)


def test_every_character_of_a_path_and_of_a_query() -> None:
    for number in [*range(0x300), 0x2028, 0xFFFD, 0x1F600]:
        check_location(BASES[0], f"/-{chr(number)}-?-{chr(number)}-")
        check_client(f"http://h.example/-{chr(number)}-?-{chr(number)}-")


@pytest.mark.parametrize(
    ("host", "on_the_wire"),
    [
        ("אב.example", "xn--4dbc.example"),
        ("1a.אב", None),
        ("aאb", None),
        ("\u0301a", None),
        ("אב1", "xn--1-zhcd"),
        ("א1a", None),
        ("क्\u200d", "xn--11b6iy14e"),
        ("क्\u200cष\u200d", None),
        ("xn--.ü", None),
        ("xn--abc-.ü", None),
        ("xn--xn---epa.ü", None),
    ],
)
def test_what_a_browser_refuses_and_the_parser_above_may_not(
    host: str, on_the_wire: str | None
) -> None:
    """Chromium 156: the Bidi rule holds for all labels of a name, and no label starts with a mark."""
    if on_the_wire:
        assert Url.parse(f"http://{host}/").host == on_the_wire
        return
    with pytest.raises(BadParameter, match="^url: the host "):
        Url.parse(f"http://{host}/")
