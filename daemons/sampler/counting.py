"""Adds up the lines of the access log by the time at which they were written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from image_cloud.db.history import Change, Key
from image_cloud.history.lines import Line
from image_cloud.history.routes import NO_CLIENT, OTHER, ROOT, TIMED_ROUTES
from image_cloud.history.sample import Sample
from image_cloud.metrics.definitions import NO_PICTURE
from image_cloud.metrics.requests import Answered, Bounded, result_of

TOLD_STATUSES = (401, 403, 429)
MOST_ROUTES, MOST_CLIENTS = 40, 30
MOST_TIMES = 20_000  # that wait to be written; beyond them the oldest are forgotten
AHEAD_S = 60  # of our clock that a line may be
_ROUTE = re.compile(r"[a-z_./-]{1,40}")


class Pending:
    """Samples that are not written yet, by the seconds (since 1970) at which their shortest step began.

    `kept` is how many samples of a step are kept, as in image_cloud/history/windows.py.
    """

    def __init__(self, kept: Mapping[int, int]) -> None:
        self._kept = kept
        self._step = min(kept)
        self._samples: dict[int, Sample] = {}
        self._routes: set[str] = set()
        self._clients = Bounded(MOST_CLIENTS)

    def at(self, time: float) -> Sample:
        """Return the sample of a time, for more to be added."""
        begin = int(time) // self._step * self._step
        if begin not in self._samples and len(self._samples) >= MOST_TIMES:
            del self._samples[min(self._samples)]
        return self._samples.setdefault(begin, Sample())

    def count(self, lines: Mapping[Line, int], now: float) -> None:
        """Add lines, each at its own time: where that cannot be, now."""
        longest_s = max(step * most for step, most in self._kept.items())
        for line, times in lines.items():
            is_likely = line.time is not None and now - longest_s < line.time <= now + AHEAD_S
            self._count(
                self.at(line.time if is_likely and line.time else now), line.answered, times
            )

    def _count(self, sample: Sample, answered: Answered, times: int) -> None:
        route, result = self._route(answered.route), result_of(answered)
        sample.count("requests", times)
        sample.count(f"requests.{route}", times)
        sample.count("bytes", times * answered.bytes)
        sample.latency(route if route in TIMED_ROUTES else OTHER, answered.seconds, times)
        if result != NO_PICTURE:
            sample.count(f"results.{result}", times)
        if answered.status >= 400:
            sample.count("errors_5xx" if answered.status >= 500 else "errors_4xx", times)
        if answered.status in TOLD_STATUSES:
            sample.count(f"status_{answered.status}", times)
        self._count_client(sample, answered, times)

    def _count_client(self, sample: Sample, answered: Answered, times: int) -> None:
        client = self._clients.name(answered.client or NO_CLIENT)
        sample.count(f"token_requests.{client}", times)
        if answered.status in TOLD_STATUSES:
            sample.count(f"token_{answered.status}.{client}", times)

    def _route(self, route: str) -> str:
        """Return a name for a route; not more of them than nginx knows, whatever the log says."""
        name = route.lstrip("/") or ROOT
        if name not in self._routes:
            if len(self._routes) >= MOST_ROUTES or not _ROUTE.fullmatch(name):
                return OTHER
            self._routes.add(name)
        return name

    def changes(self, now: float) -> dict[Key, Change]:
        """Return what is to be written, for each step for as long as its samples are kept."""
        more: dict[Key, Sample] = {}
        for step, most in self._kept.items():
            for begin, sample in self._samples.items():
                if begin > now - step * most:
                    more.setdefault(Key(step, begin // step * step), Sample()).add(sample)
        return {key: adding(sample) for key, sample in more.items()}

    def clear(self) -> None:
        """Forget what has been written."""
        self._samples.clear()

    def __len__(self) -> int:
        return len(self._samples)


def adding(more: Sample) -> Change:
    """Return what adds `more` to a packed sample."""

    def change(old: bytes | None) -> bytes:
        total = Sample.unpack(old) if old else Sample()
        total.add(more)
        return total.packed()

    return change


def variants(lines: Iterable[Line]) -> set[str]:
    """Return the variants that were sent, as paths below the storage."""
    return {line.variant for line in lines if line.variant}
