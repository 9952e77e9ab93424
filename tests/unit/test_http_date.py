"""Dates in HTTP headers: the three forms of RFC 9110, other zones, and what is none."""

from __future__ import annotations

import datetime
import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_cloud.picture.headers.http_date import seconds_of

THEN = 784111777.0
MOMENTS = st.integers(0, 2**33)


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
        "sun, 6 nov 1994 8:49:37 utc", " 06 Nov 1994 08:49:37 ", "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 10:19:37 +0130", "Sun, 06 Nov 1994 07:49:37 -0100",
        "Sun,06 Nov 1994 08:49:37 -0000",
    ],
)  # fmt: skip
def test_the_same_moment_in_many_forms(text: str) -> None:
    assert seconds_of(text) == THEN


@pytest.mark.parametrize(
    "text",
    [
        None, "", "0", "-1", "soon", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Now 1994 08:49:37 GMT", "Sun, 06 Nov 0000 08:49:37 GMT", "1994-11-06T08:49:37Z",
        "Sun, 06 Nov 1994 08:49:37 EST", "Sun, 06 Nov 1994 08:49:37 GMT, 07", "Sun, ٠6 Nov 1994 08:49:37 GMT",
        "9" * 400,
    ],
)  # fmt: skip
def test_what_is_no_date_is_none(text: str | None) -> None:
    assert seconds_of(text) is None


@given(MOMENTS)
def test_dates_as_servers_write_them(moment: int) -> None:
    assert seconds_of(email.utils.formatdate(moment, usegmt=True)) == moment
    at = datetime.datetime.fromtimestamp(moment, datetime.UTC)
    assert seconds_of(at.strftime("%a %b %e %H:%M:%S %Y")) == moment


@given(st.text(max_size=60))
def test_whatever_comes_raises_nothing(text: str) -> None:
    seconds_of(text)
