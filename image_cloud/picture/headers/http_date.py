"""Dates of HTTP headers (RFC 9110, 5.6.7).  email.utils knows more, and takes 1 MB of each process."""

from __future__ import annotations

import datetime
import re

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
# Sun, 06 Nov 1994 08:49:37 GMT; Sunday, 06-Nov-94 08:49:37 GMT; with other zones, too, as mail has them
_USUAL = re.compile(
    r"(?:[a-z]{3,9}, *)?(?P<day>\d{1,2})[ -](?P<month>[a-z]{3})[ -](?P<year>\d{4}|\d\d) +"
    r"(?P<time>\d{1,2}:\d\d:\d\d)(?: *(?:gmt|utc?|z|(?P<zone>[+-]\d{4})))?",
    re.ASCII,
)
_ASCTIME = re.compile(  # Sun Nov  6 08:49:37 1994
    r"[a-z]{3} (?P<month>[a-z]{3}) +(?P<day>\d{1,2}) (?P<time>\d\d:\d\d:\d\d) (?P<year>\d{4})",
    re.ASCII,
)
_CENTURY_FROM = 69  # 68 is 2068, 69 is 1969


def seconds_of(text: str | None) -> float | None:
    """Return the time that a date names, as Unix time; None where it is no date."""
    lower = (text or "").strip().lower()
    match = _USUAL.fullmatch(lower) or _ASCTIME.fullmatch(lower)
    if not match or match["month"] not in _MONTHS:
        return None
    found = match.groupdict()
    month = _MONTHS.index(found["month"]) + 1
    hour, minute, second = map(int, found["time"].split(":"))
    try:
        at = datetime.datetime(
            _year(found["year"]),
            month,
            int(found["day"]),
            hour,
            minute,
            second,
            tzinfo=datetime.UTC,
        )
        return at.timestamp() - _offset_s(found.get("zone") or "+0000")
    except ValueError:
        return None


def _year(digits: str) -> int:
    if len(digits) == 4:
        return int(digits)
    return int(digits) + (1900 if int(digits) >= _CENTURY_FROM else 2000)


def _offset_s(zone: str) -> int:
    minutes = int(zone[1:3]) * 60 + int(zone[3:])
    return (-60 if zone[0] == "-" else 60) * minutes
