"""The sampler: every second it counts what nginx has answered, every 10 s it looks at the node."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from daemons.loop import Runner
from daemons.sampler.counting import Pending, variants
from daemons.sampler.events import Events
from daemons.sampler.gauges import Gauges
from image_cloud.config import Config
from image_cloud.db.history import HistoryFile, HistoryReader
from image_cloud.errors import StorageUnavailable
from image_cloud.history import lines, traffic
from image_cloud.history.access_log import CHUNK_BYTES, AccessLog, Place
from image_cloud.history.lines import Line
from image_cloud.history.sample import KEPT
from image_cloud.history.uses import Uses
from image_cloud.metrics.process_files import ProcessFiles
from image_cloud.metrics.requests import Answered, RequestCounter
from image_cloud.process import json_file
from image_cloud.process.typed import fit

log = logging.getLogger(__name__)

IDLE_S, MEASURE_S, PRUNE_S = 1.0, 10, 60
PLACE, EVENTS = "access_log", "events"
NICENESS = 5  # requests come first


class Sampler:
    """Follows the access log, and writes into `file` what its lines, `events` and `gauges` say.

    The place in the log is written together with what was counted up to there: whenever this process is
    killed, nothing is counted twice, and nothing left out.  While the file cannot be written, all of that
    waits in memory.  `uses` hears of the variants that were sent, `tell` of each answer and its number.
    """

    idle_s = IDLE_S

    def __init__(
        self,
        access_log: AccessLog,
        file: HistoryFile,
        gauges: Callable[[], Mapping[str, float]],
        events: Events,
        uses: Uses,
        tell: Callable[[Answered, int], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._access_log = access_log
        self._file = file
        self._gauges = gauges
        self._events = events
        self._uses = uses
        self._tell_of = tell
        self._clock = clock
        self._pending = Pending(KEPT)
        self._place: Place | None = None
        self._traffic = traffic.Traffic()
        self._measured = self._pruned = -1
        self._is_away = False

    def step(self) -> bool:
        """Count some lines, look at the node where it is time, write; say whether many lines are left."""
        try:
            if self._place is None:
                self._resume()
            return self._step(self._clock())
        except StorageUnavailable as error:
            self._tell(error)
            return False

    def _resume(self) -> None:
        """Go on where the process before this one stopped.  Raises StorageUnavailable."""
        place, counted = self._file.state(PLACE), self._file.state(traffic.STATE)
        self._events.resume(self._file.state(EVENTS))
        self._place, self._traffic = _place(place), traffic.read(counted)

    def _step(self, now: float) -> bool:
        """Do a step.  Raises StorageUnavailable where nothing could be written."""
        found, self._place = self._access_log.next(self._place or Place())
        counted = lines.parse(found)
        self._pending.count(counted, now)
        for line, times in counted.items():
            self._traffic.count(line.answered, times)
        self._measure(now)
        try:
            self._write(now)
        finally:
            self._hand_on(counted)
        return len(found) > CHUNK_BYTES // 2

    def _measure(self, now: float) -> None:
        """Look at the node once in each step of the shortest samples."""
        if int(now) // MEASURE_S == self._measured:
            return
        self._measured = int(now) // MEASURE_S
        sample = self._pending.at(now)
        for name, value in self._gauges().items():
            sample.measure(name, value)
        self._events.add_to(sample)

    def _write(self, now: float) -> None:
        if not self._pending:
            return
        state = {
            PLACE: json.dumps(dataclasses.asdict(self._place or Place())),
            EVENTS: self._events.state(),
            traffic.STATE: json.dumps(dataclasses.asdict(self._traffic)),
        }
        self._file.write(self._pending.changes(now), state)
        self._pending.clear()
        if int(now) // PRUNE_S != self._pruned:
            self._pruned = int(now) // PRUNE_S
            self._file.prune(now)
            self._file.check()
        self._is_away = False

    def _hand_on(self, counted: Mapping[Line, int]) -> None:
        """Tell the others once all is written: a line that is read again was not told of."""
        with contextlib.suppress(OSError):
            self._uses.add(variants(counted))
        for line, times in counted.items():
            self._tell_of(line.answered, times)

    def _tell(self, error: StorageUnavailable) -> None:
        """Log the first of several failures in a row."""
        if not self._is_away:
            log.warning("event=history_not_written reason=%r", error.detail)
        self._is_away = True


def _place(text: str | None) -> Place:
    try:
        return fit(Place, json_file.parse((text or "{}").encode()))
    except ValueError:
        return Place()


def create(config: Config, _runner: Runner) -> Sampler:
    """Wire the sampler of this node."""
    os.nice(NICENESS)
    path, run = Path(config.node.history), Path(config.node.run)
    storage = config.storage
    return Sampler(
        AccessLog(Path(config.node.access_log)),
        HistoryFile(path, KEPT),
        Gauges(Path(storage.path), run, storage.min_free_bytes, HistoryReader(path)),
        Events(ProcessFiles(run / "metrics")),
        Uses(run / "pools" / "uses"),
        RequestCounter().count,
    )
