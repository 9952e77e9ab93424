"""`image-cloud verify [--repair]`: disk against catalogue, both ways, now."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from typing import Any

from tqdm import tqdm

from image_cloud.cli.access import become_run_user, open_node
from image_cloud.db import whole_catalog
from image_cloud.errors import ImageCloudError
from image_cloud.fetch.audit import Auditor, Finding
from image_cloud.node import Node
from image_cloud.pages.people import size

ROWS_AT_ONCE = 500


def add_commands(commands: Any) -> None:
    """Add `verify`."""
    verify = commands.add_parser(
        "verify", help="read every original and compare it with its record and catalogue row"
    )
    verify.add_argument(
        "--repair",
        action="store_true",
        help="correct rows; set aside files that are wrong and fetch them again, from a peer first",
    )
    verify.add_argument("--json", action="store_true", help="as JSON")
    verify.set_defaults(run=run_verify)


def run_verify(arguments: argparse.Namespace) -> int:
    """Print what is wrong; 1 where something is and stays so."""
    node = open_node(arguments)
    become_run_user(node.config)
    node.recorder.start()
    try:
        return _verify(node, repair=arguments.repair, as_json=arguments.json)
    finally:
        node.recorder.stop()


def _verify(node: Node, *, repair: bool, as_json: bool) -> int:
    auditor = node.auditor
    with node.database.transaction() as cursor:
        pictures, total_bytes = whole_catalog.count(cursor)
    run = _Run(auditor, repair=repair, as_json=as_json)
    with tqdm(total=total_bytes, unit="B", unit_scale=True, desc="disk", disable=None) as bar:
        for batch in auditor.batches():
            for finding in list(
                auditor.look_at(batch.originals, lambda count: _advance(bar, count))
            ):
                run.take(finding)
    with tqdm(total=pictures, unit=" pictures", desc="catalogue", disable=None) as bar:
        key, more = "", True
        while more:
            key, findings = auditor.missing(key, ROWS_AT_ONCE)
            bar.update(min(ROWS_AT_ONCE, pictures - bar.n))
            for finding in findings:
                run.take(finding)
            more = bool(key)
    return run.report(pictures, total_bytes)


def _advance(bar: Any, count: int) -> None:
    bar.update(count)


class _Run:
    """Counts findings, and heals them where that was asked for."""

    def __init__(self, auditor: Auditor, *, repair: bool, as_json: bool) -> None:
        self._auditor = auditor
        self._repair = repair
        self._as_json = as_json
        self._findings: list[dict[str, Any]] = []
        self._found: Counter[str] = Counter()
        self._done: Counter[str] = Counter()

    def take(self, finding: Finding) -> None:
        self._found[finding.kind] += 1
        what = finding.record.url if finding.record else finding.key
        done = ""
        if self._repair:
            try:
                done = self._auditor.repair(finding)
            except (ImageCloudError, OSError) as error:
                done = f"not repaired: {error}"
            self._done[done.partition(":")[0]] += 1
        if self._as_json:
            told = {"kind": finding.kind, "picture": what, "fields": list(finding.fields)}
            self._findings.append(told | ({"repair": done} if self._repair else {}))
            return
        fields = f"wrong: {', '.join(finding.fields)}" if finding.fields else ""
        tqdm.write("\t".join(filter(None, (finding.kind, what, fields, done))))

    def report(self, pictures: int, total_bytes: int) -> int:
        """Print the sums; say whether something is still wrong."""
        if self._as_json:
            told = {"pictures": pictures, "bytes": total_bytes, "findings": self._findings}
            print(json.dumps(told, indent=2))
        else:
            self._print_sums(pictures, total_bytes)
        healed = self._done["recorded"] + self._done["fetched"]
        return 1 if sum(self._found.values()) > healed else 0

    def _print_sums(self, pictures: int, total_bytes: int) -> None:
        print(f"{pictures:,} pictures, {size(total_bytes)}")
        found = ", ".join(f"{count} {kind}" for kind, count in self._found.items())
        print(f"found: {found or 'nothing wrong'}")
        if self._done:
            print("repair: " + ", ".join(f"{count} {done}" for done, count in self._done.items()))
