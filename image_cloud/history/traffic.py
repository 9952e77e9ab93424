"""What nginx's answers add up to since the node was made."""

from __future__ import annotations

import dataclasses

from image_cloud.db.history import HistoryReader
from image_cloud.metrics.requests import Answered
from image_cloud.process import json_file
from image_cloud.process.typed import fit

STATE = "traffic"


@dataclasses.dataclass
class Traffic:
    """Answers by status, pictures by X-Cache, and the bytes sent."""

    statuses: dict[str, int] = dataclasses.field(default_factory=dict)
    caches: dict[str, int] = dataclasses.field(default_factory=dict)
    bytes: int = 0

    def count(self, answered: Answered, times: int) -> None:
        """Count an answer that came `times` times."""
        status = str(answered.status)
        self.statuses[status] = self.statuses.get(status, 0) + times
        self.bytes += answered.bytes * times
        if answered.cache:
            self.caches[answered.cache] = self.caches.get(answered.cache, 0) + times


def load(file: HistoryReader) -> Traffic:
    """Return what the sampler has counted, zeros where it has not."""
    return read(file.state(STATE))


def read(text: str | None) -> Traffic:
    """Return what the sampler wrote down, zeros where that does not read."""
    try:
        return fit(Traffic, json_file.parse((text or "{}").encode()))
    except ValueError:
        return Traffic()
