"""Downloads originals from origins, which are not to be trusted."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import socket
from collections.abc import Callable, Iterator

import requests
import urllib3

from image_cloud.config.sections import Download
from image_cloud.errors import (
    OriginFailed,
    OriginNotFound,
    OriginProtocol,
    OriginStatus,
    TooManyBytes,
    TooManyRedirects,
)
from image_cloud.origin import redirects
from image_cloud.origin.answer import Answer
from image_cloud.origin.connections import Exchange, GuardedAdapter, StaleConnection
from image_cloud.origin.dial import Dialer, Resolve
from image_cloud.origin.policy import Policy
from image_cloud.origin.watchdog import Deadline, watchdog
from image_cloud.picture.url import Url

Write = Callable[[bytes], object]
Enter = Callable[[Url], object]
# What servers say to a raw %, |, [ or the like in the request line.
REFUSES_THE_TARGET = (400, 404)


@dataclasses.dataclass(frozen=True)
class Downloaded:
    """What came.

    `bytes` and `sha256` (hex) are of the whole body, `content_type` is the origin's word, `url`
    where the redirects ended.  Without `length_known` only the format's end tells whether the
    body is whole.
    """

    bytes: int
    sha256: str
    content_type: str
    url: Url
    length_known: bool


class Origin:
    """The guarded downloader; for any number of threads, and across a fork.

    `resolve` has the form of `socket.getaddrinfo`.
    """

    def __init__(self, settings: Download, *, resolve: Resolve = socket.getaddrinfo) -> None:
        self._settings = settings
        self._policy = Policy(settings)
        self._dialer = Dialer(self._policy, resolve)
        self._connect()

    def _connect(self) -> None:
        self._adapter = GuardedAdapter(self._settings, self._dialer)
        self._pid = os.getpid()

    def check(self, url: Url) -> None:
        """Raise UrlForbidden for a URL that is never fetched; resolve nothing."""
        self._policy.check_url(url)

    def download(self, url: Url, write: Write, enter: Enter = lambda _url: None) -> Downloaded:
        """Fetch `url` and hand the body to `write`, block by block.

        `enter` is called before each request, that of `url` and those that redirects lead to; it
        may wait, and what it waits for the first does not count as the origin's time.
        Raises what `check` raises, an error of the origin, TooManyBytes, and what `write` and
        `enter` raise, unchanged.
        """
        if self._pid != os.getpid():  # sockets of the parent are not ours to use
            self._connect()
        self._policy.check_url(url)
        enter(url)
        deadline = Deadline(self._settings.total_timeout)
        watchdog().add(deadline)
        try:
            return self._follow(url, deadline, write, enter)
        except OriginFailed as error:
            if deadline.passed:  # what broke was the watchdog's doing
                raise deadline.error() from error
            raise
        finally:
            watchdog().discard(deadline)

    def _follow(self, url: Url, deadline: Deadline, write: Write, enter: Enter) -> Downloaded:
        most = self._settings.max_redirects
        for hop in range(most + 1):
            if hop:
                self._policy.check_url(url)
                enter(url)
            with self._answered(url, deadline) as answer:
                if answer.status not in redirects.STATUSES:
                    _check_status(answer)
                    self._check_headers(answer)
                    return self._take(url, answer, deadline, write)
                url = redirects.follow(url, answer.headers.get("location"), answer.status)
        raise TooManyRedirects(f"the origin redirects more than {most} times")

    @contextlib.contextmanager
    def _answered(self, url: Url, deadline: Deadline) -> Iterator[Answer]:
        """Give the answer; a server that refuses what browsers send is asked in RFC 3986's letters."""
        with self._exchanged(url, deadline) as answer:
            strict = url.strict if answer.status in REFUSES_THE_TARGET else None
            if not strict:
                yield answer
                return
        with self._exchanged(strict, deadline) as answer:
            yield answer

    @contextlib.contextmanager
    def _exchanged(self, url: Url, deadline: Deadline) -> Iterator[Answer]:
        """Give the answer, then keep the connection if nothing is left on it, else close it."""
        exchange = Exchange(url, deadline)
        response, answer = self._ask(exchange)
        try:
            yield answer
        finally:
            deadline.hold(None)
            if answer.leaves_clean(exchange.sock):
                response.raw.release_conn()
            else:
                response.raw.close()

    def _ask(self, exchange: Exchange) -> tuple[requests.Response, Answer]:
        """Send the request; once more where a kept-alive connection turned out to be closed."""
        try:
            try:
                return self._adapter.exchange(exchange)
            except StaleConnection:
                exchange.deadline.left_s()
                exchange.only_fresh = True
                return self._adapter.exchange(exchange)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise OriginProtocol("the exchange with the origin failed") from error

    def _check_headers(self, answer: Answer) -> None:
        """Raise for an encoding that was not asked for and for a length that is too much."""
        encodings = answer.headers.get_all("content-encoding", [])
        if any(encoding.strip().lower() not in ("", "identity") for encoding in encodings):
            raise OriginProtocol("the origin sent a Content-Encoding that was not asked for")
        if (answer.declared_bytes or 0) > self._settings.max_bytes:
            raise self._too_many_bytes()

    def _too_many_bytes(self) -> TooManyBytes:
        return TooManyBytes(f"the picture's file has more than {self._settings.max_bytes} bytes")

    def _take(self, url: Url, answer: Answer, deadline: Deadline, write: Write) -> Downloaded:
        count_bytes, digest = 0, hashlib.sha256()
        for block in answer.blocks():
            count_bytes += len(block)
            if count_bytes > self._settings.max_bytes:
                raise self._too_many_bytes()
            digest.update(block)
            write(block)
        if not answer.is_complete:
            deadline.left_s()  # what the watchdog cut looks like an end
        return Downloaded(
            bytes=count_bytes,
            sha256=digest.hexdigest(),
            content_type=answer.headers.get("content-type", ""),
            url=url,
            length_known=answer.is_complete,
        )


def _check_status(answer: Answer) -> None:
    """Raise for every status but 200."""
    status = answer.status
    if status in (404, 410):
        raise OriginNotFound(f"the origin answered {status}", upstream_status=status)
    if status != 200:
        wait_s = None
        if status in (429, 503):
            wait_s = redirects.retry_after_s(answer.headers.get("retry-after"))
        detail = f"the origin answered {status}"
        raise OriginStatus(detail, upstream_status=status, retry_after_s=wait_s)
