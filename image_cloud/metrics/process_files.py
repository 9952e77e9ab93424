"""What all processes of the node have counted, those that have ended among them.

`janitor` and scrape hold one lock: an ended process's file is either there or in `ended.json`, never in both.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from image_cloud.metrics import client
from image_cloud.process import json_file
from image_cloud.process.locks import exclusive

log = logging.getLogger(__name__)

MOST_BYTES = 1 << 24
_NAME = re.compile(r"(counter|histogram|gauge)(?:_[a-z]+)?_(\d+)\.db")

Series = tuple[str, tuple[tuple[str, str], ...]]
"""The name of a sample, and its labels in order of their names."""
Values = dict[Series, float]


@dataclasses.dataclass(frozen=True)
class Sample:
    """One number in `ended.json`."""

    name: str
    labels: dict[str, str]
    value: float


@dataclasses.dataclass(frozen=True)
class Ended:
    """The sum of what ended processes counted, and the names of their files that may still be there."""

    samples: list[Sample] = dataclasses.field(default_factory=list)
    merged: list[str] = dataclasses.field(default_factory=list)


class ProcessFiles:
    """The files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ended = folder / "ended.json"
        self._lock = folder / ".lock"

    def values(self) -> Values:
        """Return the sum over all processes; of gauges what a living one says.  Raises OSError."""
        with exclusive(self._lock):
            ended = self._read_ended()
            return _sum(ended, (path for path in self._files() if path.name not in ended.merged))

    def merge_ended(self) -> int:
        """Add up and remove the files of processes that have ended; return how many.  Raises OSError."""
        with exclusive(self._lock):
            before = self._read_ended()
            self._remove(before.merged)  # left by a merge that was cut
            dead = [path for path in self._files() if not _is_alive(path)]
            if dead:
                names = [path.name for path in dead]
                values = _sum(before, (path for path in dead if _kind(path) != "gauge"))
                json_file.write(self._ended, Ended(_rows(values), names))
                self._remove(names)
            elif before.merged:
                json_file.write(self._ended, Ended(before.samples))
            return len(dead)

    def _read_ended(self) -> Ended:
        return json_file.read(self._ended, Ended, MOST_BYTES) or Ended()

    def _files(self) -> list[Path]:
        return [path for path in sorted(self._folder.iterdir()) if _NAME.fullmatch(path.name)]

    def _remove(self, names: Iterable[str]) -> None:
        for name in filter(_NAME.fullmatch, names):
            (self._folder / name).unlink(missing_ok=True)


def _sum(ended: Ended, paths: Iterable[Path]) -> Values:
    values = {(one.name, tuple(sorted(one.labels.items()))): one.value for one in ended.samples}
    for path in paths:
        for series, value in _samples(path):
            values[series] = values.get(series, 0.0) + value
    return values


def _samples(path: Path) -> Iterator[tuple[Series, float]]:
    """Yield what one file holds; nothing of a broken one, and no gauge of a process that has ended."""
    if _kind(path) == "gauge" and not _is_alive(path):
        return
    with contextlib.suppress(FileNotFoundError):
        try:
            metrics = _merged(path)
        except (ValueError, RuntimeError, LookupError, TypeError, struct.error) as error:
            log.warning("event=metrics_file_broken name=%s reason=%r", path.name, str(error))
            return
        for metric in metrics:
            for sample in metric.samples:
                yield (sample.name, tuple(sorted(sample.labels.items()))), sample.value


def _merged(path: Path) -> Iterable[Any]:
    client.package()
    from prometheus_client.multiprocess import MultiProcessCollector

    merge: Any = MultiProcessCollector.merge
    return list(merge([str(path)], accumulate=False))


def _kind(path: Path) -> str:
    return path.name.partition("_")[0]


def _is_alive(path: Path) -> bool:
    match = _NAME.fullmatch(path.name)
    return match is not None and os.path.exists(f"/proc/{match[2]}")


def _rows(values: Values) -> list[Sample]:
    return [Sample(name, dict(labels), value) for (name, labels), value in values.items()]
