"""Host names in other scripts than ASCII (IDNA, UTS 46)."""

from __future__ import annotations

import unicodedata

import idna

_JOINERS = "\u200c\u200d"
_RIGHT_TO_LEFT = ("R", "AL", "AN")


def to_ascii(domain: str) -> str:
    """Return a name that is not ASCII as A-labels.  Raises ValueError, of which idna.IDNAError is one.

    UTS 46 is applied as the URL standard does: non-transitional, any hyphens, ASCII labels taken as they are.
    """
    labels = [_unicode(label) for label in idna.uts46_remap(domain, std3_rules=False).split(".")]
    is_bidi = any(
        unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in "".join(labels)
    )
    for label in filter(None, labels):
        _check(label, is_bidi)
    return ".".join(
        label if label.isascii() else "xn--" + label.encode("punycode").decode() for label in labels
    )


def _unicode(label: str) -> str:
    """Decode an A-label, strictly; leave other labels as they are."""
    if not label.startswith("xn--"):
        return label
    decoded = label.removeprefix("xn--").encode("ascii").decode("punycode")
    if decoded.isascii() or idna.uts46_remap(decoded, std3_rules=False) != decoded:
        raise ValueError
    return decoded


def _check(label: str, is_bidi: bool) -> None:
    """Raise ValueError where the validity criteria of UTS 46 do not hold."""
    idna.check_initial_combiner(label)
    if is_bidi:
        idna.check_bidi(label, check_ltr=True)
    places = (place for place, character in enumerate(label) if character in _JOINERS)
    if label.startswith("xn--") or not all(idna.valid_contextj(label, place) for place in places):
        raise ValueError
