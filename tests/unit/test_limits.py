"""max_downloads.json: what it may say, whom an entry covers, and what happens when it changes."""

import logging
import os
from pathlib import Path

import pytest

from image_cloud.picture.url import Url
from image_cloud.politeness import limits
from image_cloud.politeness.limits import Domain, Limits, LimitsError, LimitsFile
from image_cloud.process.reread import RECHECK_S
from tests.clock import Clock

LIMITS = limits.parse("""
    {"pinimg.com": 4, "i.pinimg.com": 2, "127.0.0.1": 3, "2001:db8::1": 5, "Bücher.example": 6}
""")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://pinimg.com/a", Domain("pinimg.com", "pinimg.com", 4)),
        ("https://x.y.pinimg.com/a", Domain("pinimg.com", "pinimg.com", 4)),
        ("https://b.i.pinimg.com/a", Domain("i.pinimg.com", "i.pinimg.com", 2)),
        ("https://notpinimg.com/a", Domain("notpinimg.com", "notpinimg.com", 8)),
        ("https://shop.example/a", Domain("shop.example", "shop.example", 8)),
        ("http://PINIMG.com.:80/a", Domain("pinimg.com", "pinimg.com", 4)),
        ("http://a.pinimg.com:8080/a", Domain("pinimg.com/8080", "pinimg.com", 4)),
        ("http://127.0.0.1:81/", Domain("127.0.0.1/81", "127.0.0.1", 3)),
        ("http://ＰＩＮＩＭＧ。com/", Domain("pinimg.com", "pinimg.com", 4)),
        ("http://bücher.example/", Domain("xn--bcher-kva.example", "xn--bcher-kva.example", 6)),
        (
            "http://a.XN--BCHER-KVA.example/",
            Domain("xn--bcher-kva.example", "xn--bcher-kva.example", 6),
        ),
        ("http://[2001:db8::1]:81/", Domain("2001:db8::1/81", "2001:db8::1", 5)),
    ],
)
def test_the_longest_match_wins(url: str, expected: Domain) -> None:
    found = LIMITS.domain_of(Url.parse(url))
    assert found == expected
    assert LIMITS.domain_named(found.name) == expected


def test_a_name_of_earlier_limits_is_read_anew() -> None:
    assert LIMITS.domain_named("a.pinimg.com/81") == Domain("pinimg.com/81", "pinimg.com", 4)
    assert Limits(1, {}).domain_named("pinimg.com") == Domain("pinimg.com", "pinimg.com", 1)


def test_a_good_file() -> None:
    assert limits.parse(
        '{"default": 3, "Shop.Example": 1, "::1": 2, "bücher.example": 1}'
    ) == Limits(3, {"shop.example": 1, "::1": 2, "xn--bcher-kva.example": 1})
    assert limits.parse("{}") == Limits(limits.DEFAULT, {})


@pytest.mark.parametrize("text", [
    "", "{", "[]", "3", "null", '{"default": 8,}', '{"a.example": "4"}', '{"a.example": 0}',
    '{"a.example": -1}',
    '{"a.example": 1.5}', '{"a.example": true}', '{"a.example": null}', '{"a.example": 1001}', '{"a b": 1}',
    '{"http://a.example": 1}', '{"a.example/b": 1}', '{"a.example?": 1}', '{" a.example": 1}', '{"127.1": 1}',
    '{"[::1]": 1}', '{"a.example:80": 1}', '{"": 1}', '{"*.a.example": 1}', '{"default": "x"}',
    '{"a.example": 1, "a.example": 2}', '{"a.example": 1, "A.example": 2}', "[" * 100_000,
])  # fmt: skip
def test_a_broken_file(text: str) -> None:
    with pytest.raises(LimitsError):
        limits.parse(text)


def write(path: Path, text: str) -> None:
    path.with_name("new").write_text(text)
    os.replace(path.with_name("new"), path)


def test_a_change_is_seen_and_a_broken_file_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, path = Clock(0.0), tmp_path / "max_downloads.json"
    write(path, '{"default": 2}')
    file = LimitsFile(path, tmp_path / "kept", clock)
    assert file.current().default == 2
    write(path, '{"default": 33}')
    assert file.current().default == 2  # looked at once a second
    clock.now += RECHECK_S
    assert file.current().default == 33
    write(path, '{"default": oops}')
    for _ in range(3):
        clock.now += RECHECK_S
        assert file.current().default == 33
    refusals = [one for one in caplog.records if "limits_refused" in one.message]
    assert len(refusals) == 1
    assert refusals[0].levelno == logging.ERROR
    assert LimitsFile(path, tmp_path / "kept", clock).current().default == 33  # a new process
    assert LimitsFile(path, tmp_path / "nowhere", clock).current() == Limits(limits.CAREFUL, {})
    write(path, '{"default": 5}')
    clock.now += RECHECK_S
    assert file.current().default == 5


def test_no_file_is_no_mistake(tmp_path: Path) -> None:
    file = LimitsFile(tmp_path / "nowhere", tmp_path / "kept", Clock(0.0))
    assert file.current() == Limits(limits.DEFAULT, {})
