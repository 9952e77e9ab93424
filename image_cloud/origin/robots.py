"""X-Robots-Tag: what an origin does not want done with a picture, where the ini respects it.

    X-Robots-Tag: noai, noimageai
    X-Robots-Tag: otherbot: noindex, imagecloud: noai

A name with a colon says whom the rest of its line is for; rules without one are for all.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from image_cloud.errors import RobotsRefused
from image_cloud.origin.http1.head import BLANKS, Head

HEADER = "x-robots-tag"
EVERYBODY = "*"
# Rules that have a colon of their own.
WITH_VALUE = frozenset(
    {"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"}
)
ALSO_MEANS = {"none": frozenset({"noindex", "nofollow"})}
_PRODUCT = re.compile(r"(?:^|(?<![\w.-]))[A-Za-z][\w.-]*(?=/)|^[A-Za-z][\w.-]*", re.ASCII)


def check(head: Head, respected: Collection[str], user_agent: str) -> None:
    """Raise RobotsRefused where `head` has one of the `respected` rules (lower-case) for us."""
    if not respected or HEADER not in head.fields:
        return
    names = {EVERYBODY, *(name.lower() for name in _PRODUCT.findall(user_agent))}
    for line in head.fields[HEADER]:
        for rule in _rules(line.lower(), names):
            if rule in respected or not ALSO_MEANS.get(rule, frozenset()).isdisjoint(respected):
                detail = f"the origin's X-Robots-Tag says {rule}"
                raise RobotsRefused(detail, upstream_status=head.status)


def _rules(line: str, names: Collection[str]) -> list[str]:
    """Return the rules in `line` for one of `names`."""
    found, is_ours = [], True
    for part in line.split(","):
        name, colon, rest = (text.strip(BLANKS) for text in part.partition(":"))
        if colon and name not in WITH_VALUE:
            is_ours = name in names
        else:
            rest = name
        if is_ours and rest:
            found.append(rest)
    return found
