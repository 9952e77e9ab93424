"""`origins.json`: which requests carry which headers, and what is refused without repeating a secret."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from image_cloud.origin.origins_file import OriginsFile
from image_cloud.origin.request_headers import HeadersError, parse
from image_cloud.picture.url import Url

SECRET = "s3cr3t-value"
SHOP = {"Referer": "https://shop.example/", "Authorization": f"Basic {SECRET}"}


def sent(content: Any, url: str) -> dict[str, str]:
    """Return the headers that a request for `url` carries."""
    return dict(parse(json.dumps(content)).of(Url.parse(url)).headers)


@pytest.mark.parametrize(
    ("name", "url", "matches"),
    [
        ("shop.example", "https://shop.example/a.jpg", True),
        ("shop.example", "https://SHOP.example.:8443/a.jpg", True),
        ("Shop.Example.", "https://shop.example/", True),
        ("bücher.example", "https://xn--bcher-kva.example/", True),
        ("xn--bcher-kva.example", "https://Bücher.example/", True),
        ("192.0.2.1", "https://192.0.2.1/", True),
        ("2001:db8::1", "https://[2001:db8::1]:444/", True),
        ("*.shop.example", "https://img.shop.example/", True),
        ("*.shop.example", "https://a.b.shop.example/", True),
        ("shop.example", "https://img.shop.example/", False),
        ("*.shop.example", "https://shop.example/", False),
        ("*.shop.example", "https://myshop.example/", False),
        ("shop.example", "https://shop.example.evil.example/", False),
        ("*.0.2.example", "https://192.0.2.1/", False),
    ],
)
def test_which_hosts_an_entry_is_for(name: str, url: str, matches: bool) -> None:
    assert sent({name: SHOP, "other.example": {"X-Other": "1"}}, url) == (SHOP if matches else {})


def test_the_longest_match_wins_alone() -> None:
    content = {
        "*.example": {"X-Which": "all"},
        "*.shop.example": {"X-Which": "below"},
        "img.shop.example": {"X-Other": "one"},
    }
    assert sent(content, "https://img.shop.example/") == {"X-Other": "one"}
    assert sent(content, "https://b.shop.example/") == {"X-Which": "below"}
    assert sent(content, "https://shop.example/") == {"X-Which": "all"}


def test_credentials_go_over_https_alone() -> None:
    fields = {"authorization": SECRET, "COOKIE": "a=b", "Referer": "https://shop.example/"}
    https, http = "https://shop.example/", "http://shop.example/"
    assert sent({"shop.example": fields}, https) == fields
    assert sent({"shop.example": fields}, http) == {"Referer": "https://shop.example/"}
    for allowed in (True, False):
        entry = fields | {"credentials_over_http": allowed}
        assert sent({"shop.example": entry}, https) == fields
        assert ("COOKIE" in sent({"shop.example": entry}, http)) == allowed


@pytest.mark.parametrize(
    ("fields", "is_private"),
    [
        ({"Referer": "x"}, False), ({"Authorization": "x"}, True), ({"cookie": "x"}, True),
        ({}, False),
    ],
)  # fmt: skip
def test_what_is_private(fields: dict[str, str], is_private: bool) -> None:
    headers = parse(json.dumps({"shop.example": fields}))
    assert headers.of(Url.parse("https://shop.example/")).is_private == is_private
    assert not headers.of(Url.parse("http://shop.example/")).is_private


WRONG = {
    "not JSON": "{",
    "a list": "[]",
    "a number": "1",
    "deep": "[" * 100_000,
    "no object": {"shop.example": SECRET},
    "a port": {"shop.example:443": SHOP},
    "a URL": {f"https://me:{SECRET}@shop.example/": SHOP},
    "no host": {"": SHOP},
    "any host": {"*": SHOP},
    "any domain": {"*.": SHOP},
    "a star within": {"img.*.example": SHOP},
    "a wildcard address": {"*.192.0.2.1": SHOP},
    "an odd address": {"127.1": SHOP},
    "the same host twice": f'{{"shop.example": {{}}, "Shop.Example.": {{"Cookie": "{SECRET}"}}}}',
    "the same header twice": {"shop.example": {"Cookie": SECRET, "cookie": "b"}},
    "the same name twice": f'{{"shop.example": {{"Cookie": "{SECRET}", "Cookie": "b"}}}}',
    "Host": {"shop.example": {"Host": SECRET}},
    "Range": {"shop.example": {"range": SECRET}},
    "Connection": {"shop.example": {"Connection": SECRET}},
    "Content-Length": {"shop.example": {"CONTENT-LENGTH": SECRET}},
    "Transfer-Encoding": {"shop.example": {"Transfer-Encoding": SECRET}},
    "Accept-Encoding": {"shop.example": {"Accept-Encoding": SECRET}},
    "If-None-Match": {"shop.example": {"If-None-Match": SECRET}},
    "Upgrade": {"shop.example": {"Upgrade": SECRET}},
    "Proxy-Authorization": {"shop.example": {"Proxy-Authorization": SECRET}},
    "a name that is none": {"shop.example": {f"Cookie: {SECRET}": "x"}},
    "an empty name": {"shop.example": {"": SECRET}},
    "a line break": {"shop.example": {"Cookie": f"{SECRET}\r\nHost: evil.example"}},
    "a NUL": {"shop.example": {"Cookie": f"{SECRET}\0"}},
    "not ASCII": {"shop.example": {"Cookie": f"{SECRET}ä"}},
    "empty": {"shop.example": {"Referer": ""}},
    "blank at the end": {"shop.example": {"Cookie": f"{SECRET} "}},
    "too long": {"shop.example": {"Cookie": SECRET * 1000}},
    "a list of values": {"shop.example": {"Cookie": [SECRET]}},
    "no text": {"shop.example": {"Cookie": 1}},
    "nothing": {"shop.example": {"Cookie": None}},
    "text for a switch": {"shop.example": {"credentials_over_http": "true"}},
    "too many": {"shop.example": {f"X-{number}": SECRET for number in range(51)}},
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_refused(kind: str) -> None:
    content = WRONG[kind]
    with pytest.raises(HeadersError) as caught:
        parse(content if isinstance(content, str) else json.dumps(content))
    assert SECRET not in str(caught.value)


def test_every_mistake_is_told_at_once_with_its_place() -> None:
    content = {"a.example": {"Host": "x", "Cookie": 1}, "*": {}, "b.example": 1}
    with pytest.raises(HeadersError) as caught:
        parse(json.dumps(content))
    problems = caught.value.problems
    assert len(problems) == 4
    assert problems[0].startswith("'a.example': 'Host': ")
    assert problems[1].startswith("'a.example': 'Cookie': expected text")


def test_no_text_of_the_entries_has_a_value() -> None:
    headers = parse(json.dumps({"shop.example": SHOP}))
    assert SECRET not in repr(headers)
    assert SECRET not in repr(headers.of(Url.parse("https://shop.example/")))


# --- the file ------------------------------------------------------------------------------------

HERE = Url.parse("https://shop.example/")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 2.0  # each look is a new one
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "origins.json"


def write(file: Path, content: Any, mode: int = 0o600) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    file.unlink(missing_ok=True)
    file.write_text(text)
    file.chmod(mode)


def opened(file: Path) -> OriginsFile:
    return OriginsFile(file, file.with_name(".last_good"), Clock())


def test_the_file_is_read_again(file: Path) -> None:
    origins = opened(file)
    assert not origins.of(HERE).headers
    write(file, {"shop.example": {"Referer": "a"}})
    assert origins.of(HERE).headers == {"Referer": "a"}
    write(file, {"shop.example": {"Referer": "b"}})
    assert origins.of(HERE).headers == {"Referer": "b"}
    file.unlink()
    assert not origins.of(HERE).headers


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o700, 0o620])
def test_a_file_that_others_may_read_is_not_taken(
    file: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    origins = opened(file)
    write(file, {"shop.example": SHOP}, mode)
    assert not origins.of(HERE).headers
    assert f"{mode:04o}" in caplog.text
    file.chmod(0o600)
    assert origins.of(HERE).headers == SHOP


def test_a_broken_file_changes_nothing_and_is_told_once(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(file, {"shop.example": SHOP})
    origins = opened(file)
    assert origins.of(HERE).headers == SHOP
    write(file, {"shop.example": {"Host": SECRET}})
    for _ in range(3):
        assert origins.of(HERE).headers == SHOP
    refusals = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert len(refusals) == 1
    assert "'Host'" in caplog.text
    assert SECRET not in caplog.text


def test_a_process_that_starts_with_a_broken_file_has_the_last_good_one(file: Path) -> None:
    write(file, {"shop.example": SHOP})
    opened(file).of(HERE)
    write(file, "{")
    assert opened(file).of(HERE).headers == SHOP
    assert os.stat(file.with_name(".last_good")).st_mode & 0o777 == 0o600


def test_a_folder_or_a_pipe_is_no_file(file: Path) -> None:
    origins = opened(file)
    file.mkdir()
    assert not origins.of(HERE).headers
    file.rmdir()
    os.mkfifo(file, 0o600)
    assert not origins.of(HERE).headers
