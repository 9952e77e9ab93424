"""Has the hashes made of pictures that were stored before anybody asked for their facts."""

from __future__ import annotations

import collections
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from image_cloud.db import hashes
from image_cloud.db.connect import Database
from image_cloud.decoding.facts import FactsMaker
from image_cloud.decoding.plan import PREFETCH
from image_cloud.errors import Busy, ImageCloudError
from image_cloud.picture.dhash import Hash
from image_cloud.picture.record import Record
from image_cloud.storage.store import Store

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 200
TRIES, WAIT_S = 30, 2.0
"""The decoder serves visitors first: what it has no room for waits so long, so often."""


class Filling:
    """Has `facts` made of what is in `store` and in `database`, `at_once` pictures at a time.

    `told` hears of each picture.
    """

    def __init__(
        self,
        store: Store,
        database: Database,
        facts: FactsMaker,
        at_once: int,
        told: Callable[[], object],
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._store = store
        self._database = database
        self._facts = facts
        self._at_once = at_once
        self._told = told
        self._wait = wait

    def fill(self) -> tuple[int, dict[str, int]]:
        """Make all that is lacking; return how many were made, and the others by what is wrong with them.

        Raises DatabaseUnavailable, and Busy where the decoder stays away.
        """
        made, failed = 0, collections.Counter[str]()
        with ThreadPoolExecutor(self._at_once) as threads:
            for records in self._lacking():
                found = list(threads.map(self._hash, records))
                ready = [one for one in found if isinstance(one, Hash)]
                with self._database.transaction() as cursor:
                    hashes.put(cursor, ready)
                made += len(ready)
                failed.update(one for one in found if isinstance(one, str))
        return made, dict(failed)

    def _lacking(self) -> Iterator[Sequence[Record]]:
        key = ""
        while True:
            with self._database.transaction() as cursor:
                records = hashes.lacking(cursor, key, ROWS_AT_ONCE)
            if not records:
                return
            yield records
            key = records[-1].key

    def _hash(self, record: Record) -> Hash | str:
        """Return the hash of a picture, or the code of what is wrong with it."""
        self._told()
        for _ in range(TRIES):
            try:
                return self._made(record.key)
            except Busy as error:
                busy = error
                self._wait(WAIT_S)
            except ImageCloudError as error:
                log.info("event=no_facts key=%s code=%s", record.key, error.code)
                return error.code
        raise busy

    def _made(self, key: str) -> Hash | str:
        original, record = self._store.originals.find(key), self._store.records.find(key)
        if original is None or record is None:
            return "not_here"
        dhash = self._facts.make(original, PREFETCH).dhash
        if self._store.records.find(key) != record:
            return "replaced"
        return Hash(key, record.sha256, dhash)
