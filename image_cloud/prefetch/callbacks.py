"""Tells receivers that batches have ended, in threads of its own: a receiver that hangs holds up nothing.

Each receiver's host gets one POST at a time.  What is due stands in the database, over restarts.
"""

from __future__ import annotations

import concurrent.futures
import logging
import time
import uuid
from collections.abc import Callable, Mapping

from image_cloud.db.connect import Database
from image_cloud.db.prefetch import batches, callbacks
from image_cloud.db.prefetch.callbacks import Due, Told
from image_cloud.errors import DatabaseUnavailable, ImageCloudError, TokenUnknown
from image_cloud.picture.url import Url
from image_cloud.prefetch.callback_request import body_of, headers_of
from image_cloud.process.log_formats import current_id
from image_cloud.request.tokens import TokenStore

log = logging.getLogger(__name__)

Post = Callable[[Url, bytes, Mapping[str, str]], int]
Future = concurrent.futures.Future[Told]

TIMEOUT_S = 10.0
MOST_TRIES, GROWTH = 5, 4  # with the longest first wait these take less than an hour
LEASE_S = 6 * TIMEOUT_S  # a daemon that died within a try is not waited for any longer
THREADS = 4


class Callbacks:
    """A worker that makes the calls which are due through `post`; `tokens` has the clients' keys.

    The second try is `first_wait_s` after the first one.  `clock` gives seconds since 1970.
    """

    idle_s = 1.0

    def __init__(
        self,
        database: Database,
        post: Post,
        tokens: TokenStore,
        first_wait_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._post = post
        self._tokens = tokens
        self._first_wait_s = first_wait_s
        self._clock = clock
        self._threads = concurrent.futures.ThreadPoolExecutor(THREADS, "callback")
        self._under_way: dict[Future, str] = {}
        self._unwritten: list[Told] = []

    def step(self) -> bool:
        """Write down what became of tries, and begin another; say whether there was any."""
        begun = self._begin()
        ended = self._gather(0.0 if begun else self.idle_s)
        self._write_down()
        return begun or ended or bool(self._under_way)

    def finish(self) -> None:
        """Let the tries under way end, and write down what became of them."""
        self._gather(TIMEOUT_S, all_of_them=True)
        try:
            self._write_down()
        except DatabaseUnavailable:
            log.warning("event=callbacks_left tries=%d", len(self._unwritten))
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin(self) -> bool:
        """Claim one call and make it in a thread.  Raises DatabaseUnavailable."""
        if len(self._under_way) >= THREADS:
            return False
        with self._database.transaction() as cursor:
            due = callbacks.claim(cursor, list(self._under_way.values()), LEASE_S)
            ended = batches.progress(cursor, uuid.UUID(due.batch)) if due else None
        if due is None or ended is None:
            return False
        self._under_way[self._threads.submit(self._tell, due, body_of(ended))] = due.host
        return True

    def _gather(self, wait_s: float, *, all_of_them: bool = False) -> bool:
        """Take what has ended, if anything; wait for the first, or for all, at most `wait_s`."""
        if not self._under_way:
            return False
        how = "ALL_COMPLETED" if all_of_them else "FIRST_COMPLETED"
        ended, _ = concurrent.futures.wait(self._under_way, wait_s, how)
        for one in ended:
            del self._under_way[one]
            self._unwritten.append(one.result())
        return bool(ended)

    def _write_down(self) -> None:
        """Commit what became of tries.  Raises DatabaseUnavailable; then it is kept."""
        if self._unwritten:
            with self._database.transaction() as cursor:
                for told in self._unwritten:
                    callbacks.settle(cursor, told)
            self._unwritten.clear()

    def _tell(self, due: Due, body: bytes) -> Told:
        """Make one try; neither the URL nor its host is logged."""
        current_id.set(due.batch)
        told = Told(due, *self._tried(due, body))
        log.info(
            "event=callback batch=%s client=%s code=%s tries=%d wait_s=%s",
            due.batch, due.client, told.code or "ok", due.tries, told.wait_s,
        )  # fmt: skip
        return told

    def _tried(self, due: Due, body: bytes) -> tuple[str, float | None]:
        """Return an error's code, empty where all is well, and how long to wait for the next try."""
        client = self._tokens.by_name(due.client)
        if client is None:
            return TokenUnknown.code, None
        if due.tries > MOST_TRIES:
            return ImageCloudError.code, None
        headers = headers_of(body, due.client, client.signing_key, self._clock())
        code = self._posted(due.url, body, headers)
        return code, self._wait_s(due.tries) if code else None

    def _posted(self, url: str, body: bytes, headers: Mapping[str, str]) -> str:
        try:
            status = self._post(Url.parse(url), body, headers)
        except ImageCloudError as error:
            return error.code
        except Exception as error:  # its text may hold the URL
            log.error("event=callback_unexpected error=%s", type(error).__name__)
            return ImageCloudError.code
        return "" if 200 <= status < 300 else f"http_{status}"

    def _wait_s(self, tries: int) -> float | None:
        """Return how long to wait after so many tries, None after the last one."""
        return self._first_wait_s * GROWTH ** (tries - 1) if tries < MOST_TRIES else None
