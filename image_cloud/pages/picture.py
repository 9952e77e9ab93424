"""One picture as the nodes explain it, and the files of it that are here."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from image_cloud.errors import NotLocal
from image_cloud.explain.disk import Facts
from image_cloud.explain.everywhere import Everywhere
from image_cloud.pages.nodes import in_words
from image_cloud.pages.people import ago, clock_time, count, printable, size
from image_cloud.picture.url import Url
from image_cloud.storage.local.variants import variant_path
from image_cloud.storage.store import Store

# What every browser shows; the others are offered as a download.
SHOWN = ("jpg", "png", "webp", "gif", "bmp", "avif", "ico")
DATABASE_S = 0.2
GOOD, WARNING, BAD = "good", "warning", "bad"


@dataclasses.dataclass(frozen=True)
class Variant:
    """A file made from the original: what can be read of it, and how old its last use is."""

    name: str
    bytes: str
    used: str


@dataclasses.dataclass(frozen=True)
class AtNode:
    """What one node says: its sentence, and whether that is good news."""

    node: str
    level: str
    verdict: str


@dataclasses.dataclass(frozen=True)
class Told:
    """All that the page tells of one URL; `extension` is empty where the original is not here."""

    url: str
    key: str
    host: str
    nodes: list[AtNode]
    figures: list[tuple[str, str]]
    variants: list[Variant]
    log: list[str]
    everything: str
    extension: str
    is_blocked: bool

    @property
    def is_shown(self) -> bool:
        """Say whether a browser can show the original."""
        return self.extension in SHOWN


class Pictures:
    """Explains pictures, and finds the files that the page shows."""

    def __init__(self, store: Store, everywhere: Everywhere) -> None:
        self._store = store
        self._everywhere = everywhere

    def told(self, url: Url) -> Told:
        """Return what is known of `url`, here and at the peers."""
        facts = self._everywhere.explain(url, local=False, database_s=DATABASE_S)
        original = facts["original"]
        tombstone = facts["tombstone"]
        return Told(
            url=url.text,
            key=url.key,
            host=str(facts["domain"]["domain"]),
            nodes=_nodes(facts),
            figures=_figures(facts),
            variants=[_variant(one, facts["at"]) for one in facts["variants"]],
            log=[printable(line) for line in facts["log"]],
            everything=json.dumps(facts, indent=2),
            extension=original["file"].rpartition(".")[2] if original else "",
            is_blocked=bool(tombstone and tombstone["blocked"]),
        )

    def file(self, url: Url, variant: str) -> str:
        """Return the path below the storage of the original, or of one of its variants.  Raises NotLocal."""
        original = self._store.originals.find(url.key)
        if original is None:
            raise NotLocal("the original is not on this node")
        if not variant:
            return original.relative
        if variant not in self._store.variants.names(original.stem):
            raise NotLocal("this variant is not on this node")
        return variant_path(original.stem, variant)


def _nodes(facts: Facts) -> list[AtNode]:
    peers = facts.get("peers", {})
    return [
        _at_node(facts["node"], facts),
        *(_at_node(name, peers[name]) for name in sorted(peers)),
    ]


def _at_node(name: str, facts: Facts) -> AtNode:
    if "verdict" not in facts:
        why = in_words(printable(facts.get("error", "no answer in time")))
        return AtNode(name, BAD, f"does not answer: {why}")
    database = facts.get("database", "ok")
    more = "" if database == "ok" else f" (its database: {printable(database)})"
    level = GOOD if facts.get("original") else WARNING
    return AtNode(name, level, printable(facts["verdict"]) + more)


def _figures(facts: Facts) -> list[tuple[str, str]]:
    """Return labels and values of the original, as its record and its file tell."""
    original, record = facts["original"], facts["record"]
    found = [("Key", facts["key"])]
    if original and "bytes" in original:
        found += [("Size", size(original["bytes"])), ("File", original["file"])]
    if record:
        found += _of_record(record)
    if facts.get("facts"):
        found += _of_facts(facts["facts"])
    domain = facts["domain"]
    slots = domain["slots"]
    state = f"{domain['state']}, {slots['used']} of {slots['allowed']} slots used"
    return [*found, ("Domain", f"{printable(domain['domain'])}: {state}")]


def _of_record(record: Facts) -> list[tuple[str, str]]:
    sides = (record["width"], record["height"])
    pixels = f", {count(sides[0])} × {count(sides[1])} px" if all(sides) else ""
    return [
        ("Format", f"{printable(record['format'])}{pixels}"),
        ("SHA-256", str(record["sha256"])),
        ("Stored", clock_time(record["stored_at"])),
        ("From", printable(record["stored_from"] or "the origin")),
    ]


def _of_facts(facts: Facts) -> list[tuple[str, str]]:
    """Return what decoding told; it is known once somebody has asked for it."""
    words = {"animated": "animated", "has_alpha": "with alpha"}
    more = "".join(f", {word}" for name, word in words.items() if facts[name])
    upright = f"{count(facts['width'])} × {count(facts['height'])} px"
    return [
        ("Upright", f"{upright}, EXIF orientation {facts['orientation']}{more}"),
        ("Average colour", f"#{facts['average_colour']}"),
        ("Difference hash", facts["dhash"]),
    ]


def _variant(facts: dict[str, Any], now: float) -> Variant:
    if "bytes" not in facts:
        return Variant(facts["name"], str(facts.get("error", "")), "unknown")
    used = f"{ago(now - facts['used_at'])} ago"
    return Variant(facts["name"], size(facts["bytes"]), used)
