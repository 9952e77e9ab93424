"""One stream's worth of clone requests: what comes is written, synced, named and recorded in groups."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from psycopg2.extensions import cursor as Cursor

from daemons.peer_clone.claims import Later, settle
from daemons.peer_clone.here import checks_of, found_here
from image_cloud.bulk.group import Group, Received
from image_cloud.bulk.receiving import Sample
from image_cloud.db import clones
from image_cloud.db.clones import Request
from image_cloud.db.connect import Database
from image_cloud.errors import (
    Blocked,
    CorruptImage,
    DeletedMeanwhile,
    ImageCloudError,
    NotLocal,
)
from image_cloud.fetch.arrival import compare
from image_cloud.metrics.definitions import CLONE_SECONDS, CLONES
from image_cloud.metrics.outcomes import timed
from image_cloud.picture.record import Record
from image_cloud.process.closing import Closing
from image_cloud.process.steps import GoOn
from image_cloud.storage.guard.trouble import unavailable
from image_cloud.storage.recorder import commit_records
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)

UNTRIED, ASKED = 0, 1  # what is asked for picture by picture is what was tried


class Transfer(Closing):
    """The `requests` that one stream from the peer `source` is to settle; a context manager.

    What nothing was heard of when it is closed is due again, and so is what the peer does not have: that is
    then asked for picture by picture, everywhere.
    """

    def __init__(
        self,
        requests: Sequence[Request],
        source: str,
        store: Store,
        database: Database,
        later: Later,
        go_on: GoOn,
    ) -> None:
        self.waiting = {request.wanted.key: request for request in requests}
        self.has_begun = self.is_broken = False
        self.pictures = self.bytes = 0
        self._source = source
        self._store = store
        self._database = database
        self._later = later
        self._go_on = go_on
        self._group = Group(store)
        self._came: dict[str, Request] = {}  # what is not committed yet
        self._absent: list[str] = []
        self._stages = [ThreadPoolExecutor(1, name) for name in ("place", "record")]
        self._placing = self._recording = _done()

    @property
    def wanted_bytes(self) -> int:
        """Return what the pictures that are still to come have together."""
        return sum(request.wanted.bytes for request in self.waiting.values())

    def settle_here(self, owns: Callable[[str], bool]) -> None:
        """Settle what needs no transfer: what is here, and what this node does not keep any more.

        Raises StorageUnavailable, DatabaseUnavailable, Busy.
        """
        found: list[tuple[Record, Request]] = []
        done = []
        with storing():
            for request in self.waiting.values():
                if not self._go_on():
                    break
                if self._is_settled(request, owns, found):
                    done.append(request)
            self._record(found, done)
        for request in done:
            del self.waiting[request.wanted.key]

    def _is_settled(
        self, request: Request, owns: Callable[[str], bool], found: list[tuple[Record, Request]]
    ) -> bool:
        if not owns(request.wanted.key):
            return True
        try:
            record = found_here(self._store, request.wanted)
        except (Blocked, DeletedMeanwhile):
            return True
        found += [(record, request)] if record else []
        return record is not None

    def take(self, sample: Sample) -> None:
        """Take one picture in.  Raises PeerBroken, StorageUnavailable, DatabaseUnavailable."""
        request = self.waiting[sample.key]
        try:
            with timed(CLONES, CLONE_SECONDS):
                self._receive(sample, request)
            self._came[sample.key] = request
        except NotLocal:
            self._absent.append(sample.key)
        except CorruptImage as error:
            log.warning("event=sample_refused peer=%s reason=%r", self._source, error.detail)
            self._later.postpone(request, error)
        del self.waiting[sample.key]
        if self._group.is_full:
            self._begin_commit()

    def commit(self) -> None:
        """Name and record what has come.  Raises StorageUnavailable, DatabaseUnavailable."""
        self._begin_commit()
        self._placing.result()
        self._recording.result()

    def _begin_commit(self) -> None:
        """Have a group named while the next one comes, and recorded while that is named.

        Network, disk and database need not wait for each other.  Only files without a name are open.
        """
        self._placing.result()
        group, self._group = self._group, Group(self._store)
        self._placing = self._stages[0].submit(self._place, group)

    def _place(self, group: Group) -> None:
        with group:
            here, failed = group.place()
        self._recording.result()
        self._recording = self._stages[1].submit(self._settle_group, here, failed)

    def _settle_group(self, here: Sequence[Record], failed: Mapping[str, ImageCloudError]) -> None:
        with storing():
            self._settle(here, failed)
        self.pictures += len(here)
        self.bytes += sum(record.bytes for record in here)

    def _settle(self, here: Sequence[Record], failed: Mapping[str, ImageCloudError]) -> None:
        done, postponed = [], []
        for key, error in failed.items():
            if isinstance(error, (Blocked, DeletedMeanwhile)):
                done.append(self._came[key])
            else:
                postponed.append((self._came[key], error))
        cloned = [(record, self._came[record.key]) for record in here]
        self._record(cloned, [*done, *(request for _, request in cloned)])
        for request, error in postponed:
            self._later.postpone(request, error)
        for key in [*failed, *(record.key for record in here)]:
            del self._came[key]

    def close(self) -> None:
        """Make due again what did not come.  Raises DatabaseUnavailable."""
        for stage in self._stages:
            stage.shutdown()
        self._group.close()
        unheard = [*self.waiting, *self._came]
        with self._database.transaction() as cursor:
            clones.alone(cursor)
            clones.give_back(cursor, unheard, ASKED if self.is_broken else UNTRIED)
            clones.give_back(cursor, self._absent, ASKED)

    def _record(self, cloned: Sequence[tuple[Record, Request]], done: Sequence[Request]) -> None:
        """Commit the rows of what is here now, and that nothing of `done` waits any more."""
        checks = checks_of(self._store, cloned)
        settled = [request.wanted for request in done]

        def write(cursor: Cursor, records: Sequence[Record]) -> None:
            settle(cursor, records, checks, settled)

        if done:
            commit_records(self._store, self._database, [record for record, _ in cloned], write)

    def _receive(self, sample: Sample, request: Request) -> None:
        """Write the bytes to a file of the group.  Raises NotLocal, CorruptImage and what `take` raises."""
        wanted, told = request.wanted, sample.record
        if sample.refused:
            raise CorruptImage(f"{self._source} sent {sample.refused}")
        if told is None or told.sha256 != wanted.sha256:
            raise NotLocal()  # it was deleted or replaced since the feed told of it
        with storing(), Received(self._store) as received:
            for piece in sample.pieces:
                self._go_on()
                received.write(piece)
            compare(wanted, received, received.sha256, self._source)
            record = dataclasses.replace(wanted, bytes=told.bytes, stored_from=self._source)
            self._group.add(received.hand_over(), record, is_private=sample.is_private)


def _done() -> Future[None]:
    future = Future[None]()
    future.set_result(None)
    return future


@contextlib.contextmanager
def storing() -> Iterator[None]:
    """Raise StorageUnavailable for what the disk says in this block."""
    try:
        yield
    except OSError as error:
        raise unavailable(error) from error
