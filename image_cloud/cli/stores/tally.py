"""What became of the pictures of an import."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

from image_cloud.errors import DatabaseUnavailable
from image_cloud.node import Node
from image_cloud.pages.people import printable
from image_cloud.picture.record import Record
from image_cloud.storage.recorder import commit_records

NOT_TAKEN = "not taken"


class Tally:
    """Counts what became of pictures; tells why some were not taken, at once or at the end as JSON."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._counts: Counter[str] = Counter()
        self._refused: list[dict[str, Any]] = []

    def count(self, what: str) -> None:
        """Count one picture."""
        self._counts[what] += 1

    def refuse(self, row: int, name: str, reason: str) -> None:
        """Count one that was not taken; `row` is its number, `name` its URL or the name of its file."""
        self.count(NOT_TAKEN)
        if self._as_json:
            self._refused.append({"row": row, "url": name, "reason": reason})
        else:
            tqdm.write(printable(f"{row}: not taken: {name}: {reason}"))

    def report(self) -> int:
        """Print the sums; return the exit status: 1 where a picture was not taken."""
        if self._as_json:
            print(json.dumps({"counts": self._counts, "not_taken": self._refused}, indent=2))
        else:
            told = ", ".join(f"{count} {name}" for name, count in self._counts.items())
            print(told or "nothing to import")
        return 1 if self._counts[NOT_TAKEN] else 0


def commit(node: Node, records: Sequence[Record]) -> None:
    """Record what was stored; with the database away the notes wait for the janitor."""
    try:
        if records:
            commit_records(node.store, node.database, records)
    except DatabaseUnavailable:
        tqdm.write("the database is away: recorded later", file=sys.stderr)
