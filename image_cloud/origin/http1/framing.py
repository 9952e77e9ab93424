"""Where a body ends and how it is coded, from its head: as browsers judge it where that is safe."""

from __future__ import annotations

import dataclasses
import re

from image_cloud.errors import OriginProtocol
from image_cloud.origin.http1.head import Head

GZIP, DEFLATE = "gzip", "deflate"
CODINGS = {"gzip": GZIP, "x-gzip": GZIP, "deflate": DEFLATE}
REFUSED_CODINGS = frozenset({"br", "zstd", "dcb", "dcz"})
MOST_CODINGS = 4
BODILESS = (204, 304)
_LENGTH = re.compile(r"[0-9]{1,15}")


@dataclasses.dataclass(frozen=True)
class Framing:
    """What the head says about the body.

    `length_bytes` is None where no trustworthy length came.  With `is_chunked` there are chunks, with
    `may_be_chunked` the bytes decide that.  `codings` are named in the order in which they were
    applied; unless they are `certain`, the bytes decide whether they were.  `keeps` says that the
    connection may be used again.
    """

    length_bytes: int | None
    is_chunked: bool
    may_be_chunked: bool
    codings: tuple[str, ...]
    certain: bool
    keeps: bool


def framing_of(head: Head) -> Framing:
    """Judge a head.  Raises OriginProtocol for lengths that contradict each other."""
    transfer = [coding.partition(";")[0].strip() for coding in head.items("transfer-encoding")]
    may_be_chunked = "chunked" in transfer and head.status not in BODILESS
    # Servers of HTTP/1.0, and those that put more into the name, often only say so.
    is_chunked = (
        may_be_chunked and head.version >= (1, 1) and "chunked" in head.items("transfer-encoding")
    )
    length_bytes = None if is_chunked else _length(head)
    if head.status in BODILESS:
        length_bytes = 0
    codings, certain = _codings(head, transfer)
    has_end = length_bytes is not None or is_chunked
    keeps = has_end and head.is_clean and _is_plain(head) and _keeps(head)
    return Framing(length_bytes, is_chunked, may_be_chunked, codings, certain, keeps)


def check_codings(head: Head) -> None:
    """Raise OriginProtocol for codings that were not asked for and are not decoded."""
    named = head.items("content-encoding")
    for coding in named:
        if coding in REFUSED_CODINGS:
            raise OriginProtocol(f"the origin sent Content-Encoding {coding}, unasked")
    if sum(coding in CODINGS for coding in named) > MOST_CODINGS:
        raise OriginProtocol(f"the origin sent more than {MOST_CODINGS} codings")


def _length(head: Head) -> int | None:
    """Return the one Content-Length; None without one, and for what is no length."""
    texts = {text for text in head.items("content-length") if text}
    if len(texts) > 1:
        raise OriginProtocol("malformed response: contradictory Content-Length")
    text = texts.pop() if texts else ""
    return int(text) if _LENGTH.fullmatch(text) else None


def _codings(head: Head, transfer: list[str]) -> tuple[tuple[str, ...], bool]:
    """Return what to decode; a name that means nothing beside others makes all of them doubtful."""
    content = [coding for coding in head.items("content-encoding") if coding != "identity"]
    below = [coding for coding in transfer if coding in CODINGS]
    found = tuple(CODINGS[coding] for coding in [*content, *below] if coding in CODINGS)
    return found, not below and all(coding in CODINGS for coding in content)


def _is_plain(head: Head) -> bool:
    """Say whether nobody could read the framing in another way."""
    if "transfer-encoding" not in head.fields:
        return True
    return head.items("transfer-encoding") == ["chunked"] and "content-length" not in head.fields


def _keeps(head: Head) -> bool:
    wishes = head.items("connection")
    if head.version == (1, 1):
        return "close" not in wishes
    return head.version == (1, 0) and "keep-alive" in wishes
