"""What the node's processes count for Prometheus: the history takes downloads and some gauges from it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

from image_cloud.history.sample import Sample
from image_cloud.metrics.definitions import (
    DOWNLOADED_BYTES,
    DOWNLOADS,
    PEER_REQUESTS,
    VARIANTS_BYTES,
)
from image_cloud.metrics.process_files import ProcessFiles, Values
from image_cloud.process import json_file
from image_cloud.process.typed import fit

VARIANTS = "variants_bytes"
MOST_PEERS = 16


class Events:
    """Follows the counters in `files`; what was seen of them last is kept with the history.

    What was counted before there was a history is none of its steps'.
    """

    def __init__(self, files: ProcessFiles) -> None:
        self._files = files
        self._seen: dict[str, int] | None = None

    def resume(self, text: str | None) -> None:
        """Go on from what `state` gave an earlier process."""
        with contextlib.suppress(ValueError):
            self._seen = fit(dict[str, int], json_file.parse(text.encode())) if text else None

    def state(self) -> str:
        """Return what was seen last."""
        return json.dumps(self._seen or {})

    def add_to(self, sample: Sample) -> None:
        """Add what has happened since the last time, and how things are.

        What was measured in the database stands only beside other figures of a database that answers.
        """
        try:
            values = self._files.values()
        except OSError:
            return
        now = dict(_counts(values))
        for name, total in now.items() if self._seen is not None else ():
            before = (self._seen or {}).get(name, 0)
            if more := total - before if total >= before else total:  # less: counted from 0 again
                sample.count(name, more)
        self._seen = {**(self._seen or {}), **now}
        for name, value in _gauges(values):
            if "clone_backlog" in sample.gauges or name == VARIANTS:
                sample.measure(name, value)


def _counts(values: Values) -> Iterator[tuple[str, int]]:
    for (metric, labels), value in values.items():
        if metric == DOWNLOADS.full_name:
            yield f"downloads.{dict(labels)['outcome']}", int(value)
        elif metric == DOWNLOADED_BYTES.full_name:
            yield "download_bytes", int(value)


def _gauges(values: Values) -> Iterator[tuple[str, float]]:
    peers = 0
    for (metric, labels), value in values.items():
        if metric == VARIANTS_BYTES.full_name:
            yield VARIANTS, value
        elif metric == PEER_REQUESTS.full_name and peers < MOST_PEERS:
            peers += 1
            yield f"clone_backlog.{dict(labels)['peer']}", value
