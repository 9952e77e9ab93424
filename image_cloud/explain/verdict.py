"""One sentence that answers why a picture is, or is not, here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from image_cloud.politeness.trouble import BROKEN, PAUSED


def verdict(facts: dict[str, Any]) -> str:
    """Return the sentence; the first reason that holds is the one that counts."""
    tombstone, fetch = facts["tombstone"], facts["failures"]["fetch"]
    prefetch, clone = facts.get("prefetch"), facts.get("clone")
    if tombstone and tombstone["blocked"]:
        return f"blocked since {_time(tombstone['deleted_at'])}: /get_image answers 410"
    if facts["original"]:
        return _here(facts)
    if clone:
        return f"not here yet: it waits to be cloned from {clone['peer']}"
    if prefetch and prefetch["is_under_way"]:
        return "not here yet: it is being fetched in advance"
    if prefetch and not prefetch["ready"]:
        tries = f"fetching it in advance failed {prefetch['tries']} times ({prefetch['last_code']})"
        return f"not here yet: {tries}; tried again at {_time(prefetch['next_at'])}"
    if prefetch:
        return (
            f"not here yet: {prefetch['before_it']} URLs of its domain are to be fetched before it"
        )
    if fetch and fetch["until"] > facts["at"]:
        return f"not here: {fetch['detail']} ({fetch['code']}); asked again after {_time(fetch['until'])}"
    if tombstone:
        return f"deleted at {_time(tombstone['deleted_at'])}; the next request fetches it again"
    if _trouble(facts):
        return _trouble(facts)
    return _unknown(fetch)


def _unknown(fetch: dict[str, Any] | None) -> str:
    if fetch:
        return (
            f"not here: last time {fetch['detail']} ({fetch['code']}); the next request asks again"
        )
    return "not here: nobody has asked for it, or it was never found; a request fetches it"


def _here(facts: dict[str, Any]) -> str:
    resize = facts["failures"]["resize"]
    if resize and resize["until"] > facts["at"]:
        return f"here, but it cannot be resized: {resize['detail']} ({resize['code']})"
    if facts["differences"]:
        return f"here, but record and catalogue differ: {', '.join(facts['differences'])}"
    return f"here, with {len(facts['variants'])} variants"


def _trouble(facts: dict[str, Any]) -> str:
    domain = facts["domain"]
    until = domain.get("next_try_interactive") or ""
    if domain["state"] not in (PAUSED, BROKEN) or until <= _time(facts["at"]):
        return ""
    return f"not here: {domain['domain']} is paused until {until}: {domain['why']['detail']}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
