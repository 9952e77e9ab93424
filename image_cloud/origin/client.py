"""Downloads originals from origins, which are not to be trusted."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Protocol

from image_cloud.config.sections import Download
from image_cloud.errors import (
    OriginFailed,
    OriginNotFound,
    OriginStatus,
    TooManyBytes,
    TooManyRedirects,
)
from image_cloud.origin import redirects, robots
from image_cloud.origin.connections import Connections
from image_cloud.origin.deadlines import Deadline, deadlines
from image_cloud.origin.dial import Dialer, Resolve
from image_cloud.origin.http1.codings import Decoded
from image_cloud.origin.http1.framing import check_codings
from image_cloud.origin.http1.response import Response
from image_cloud.origin.outgoing import Outgoing
from image_cloud.origin.policy import Policy
from image_cloud.origin.request_headers import Extra, RequestHeaders
from image_cloud.picture.formats import FORMATS
from image_cloud.picture.headers import validators
from image_cloud.picture.headers.validators import Validators
from image_cloud.picture.url import Url

Write = Callable[[bytes], object]
Enter = Callable[[Url], object]
IsWhole = Callable[[], bool]
# What servers say to a raw %, |, [ or the like in the request line.
REFUSES_THE_TARGET = (400, 404)
NOT_MODIFIED = 304


@dataclasses.dataclass(frozen=True)
class Downloaded:
    """What came.

    `bytes` and `sha256` (hex) are of the whole body, `content_type` is the origin's word, `url`
    where the redirects ended.  Without `length_known` only the format's end tells whether the
    body is whole.  `is_private` says that credentials were sent for it.  Unless it `is_modified` the
    origin said 304, and there is no body.
    """

    bytes: int
    sha256: str
    content_type: str
    url: Url
    length_known: bool
    is_private: bool = False
    is_modified: bool = True
    validators: Validators = validators.NONE


@dataclasses.dataclass(frozen=True)
class _Found:
    """An answer that has a body to take."""

    url: Url
    response: Response
    is_private: bool


class Headers(Protocol):
    """What the requests for some hosts carry besides the usual headers."""

    def of(self, url: Url) -> Extra:
        """Return what one request carries."""
        ...


NO_HEADERS = RequestHeaders()


class Origin:
    """The guarded downloader; for any number of threads, and across a fork.

    `formats` are the names of those to ask for, `headers` what some hosts want to see; `resolve`
    has the form of `socket.getaddrinfo`.
    """

    def __init__(
        self,
        settings: Download,
        formats: Collection[str] = (),
        headers: Headers = NO_HEADERS,
        *,
        resolve: Resolve = socket.getaddrinfo,
    ) -> None:
        self._settings = settings
        self._policy = Policy(settings)
        self._dialer = Dialer(self._policy, resolve)
        older = [name for name in formats if not FORMATS[name].is_heif]
        self._outgoing = Outgoing(settings.user_agent, formats)
        self._as_older = Outgoing(settings.user_agent, older)
        self._headers = headers
        self._connect()

    def _connect(self) -> None:
        self._connections = Connections(self._settings, self._dialer)
        self._pid = os.getpid()

    def check(self, url: Url) -> None:
        """Raise UrlForbidden for a URL that is never fetched; resolve nothing."""
        self._policy.check_url(url)

    def download(
        self,
        url: Url,
        write: Write,
        enter: Enter = lambda _url: None,
        is_whole: IsWhole = lambda: False,
        *,
        as_older: bool = False,
        known: Validators = validators.NONE,
    ) -> Downloaded:
        """Fetch `url` and hand the body to `write`, block by block.

        With `as_older` as a browser that asks for neither AVIF nor HEIC.  The origin may say that the
        bytes with the `known` validators are still good; only the URL that sent them is asked so.

        `enter` is called before each request, that of `url` and those that redirects lead to; it
        may wait, and what it waits for the first does not count as the origin's time.  Where the
        origin falls silent before the body's end, or gzip data break off, `is_whole` says whether
        what was written is all that there can be.
        Raises what `check` raises, an error of the origin, TooManyBytes, and what `write` and
        `enter` raise, unchanged.
        """
        if self._pid != os.getpid():  # sockets of the parent are not ours to use
            self._connect()
        self._policy.check_url(url)
        enter(url)
        deadline = Deadline(self._settings.total_timeout)
        deadlines().add(deadline)
        try:
            outgoing = self._as_older if as_older else self._outgoing
            with self._found(url, deadline, enter, outgoing, known) as found:
                if found.response.status == NOT_MODIFIED:
                    return _not_modified(found)
                return self._take(found, deadline, write, is_whole)
        except OriginFailed as error:
            if deadline.passed:  # what broke was cut for its time
                raise deadline.error() from error
            raise
        finally:
            deadlines().discard(deadline)

    @contextlib.contextmanager
    def _found(
        self,
        url: Url,
        deadline: Deadline,
        enter: Enter,
        outgoing: Outgoing,
        known: Validators,
    ) -> Iterator[_Found]:
        """Follow redirects to an answer whose status is 200, or 304 where that was asked for."""
        most, is_private = self._settings.max_redirects, False
        for hop in range(most + 1):
            if hop:
                self._policy.check_url(url)
                enter(url)
            extra = self._headers.of(url)
            is_private = is_private or extra.is_private
            conditions = known.headers(url.key) if known else {}
            with self._answered(url, outgoing, extra, conditions, deadline) as response:
                if response.status not in redirects.STATUSES:
                    self._check(response, extra, may_be_unmodified=bool(conditions))
                    yield _Found(url, response, is_private)
                    return
                url = redirects.follow(url, response.head)
        raise TooManyRedirects(f"the origin redirects more than {most} times")

    @contextlib.contextmanager
    def _answered(
        self,
        url: Url,
        outgoing: Outgoing,
        extra: Extra,
        conditions: Mapping[str, str],
        deadline: Deadline,
    ) -> Iterator[Response]:
        """Give the answer; a server that refuses what browsers send is asked in RFC 3986's letters."""
        request = outgoing.get(url, extra, conditions)
        with self._connections.exchange(url, request, deadline) as response:
            strict = url.strict if response.status in REFUSES_THE_TARGET else None
            if not strict:
                yield response
                return
        request = outgoing.get(strict, extra, conditions)
        with self._connections.exchange(strict, request, deadline) as response:
            yield response

    def _check(self, response: Response, extra: Extra, *, may_be_unmodified: bool) -> None:
        if not (may_be_unmodified and response.status == NOT_MODIFIED):
            _check_status(response)
        respected = self._settings.respect_robots_tags
        robots.check(response.head, respected, self._outgoing.user_agent(extra))

    def _take(
        self, found: _Found, deadline: Deadline, write: Write, is_whole: IsWhole
    ) -> Downloaded:
        blocks = self._decoded(found.response, is_whole)
        count_bytes, digest = 0, hashlib.sha256()
        for block in blocks:
            count_bytes += len(block)
            digest.update(block)
            write(block)
        is_known = found.response.is_complete or blocks.has_ended
        if not is_known:
            deadline.left_s()  # what was cut looks like an end
        return Downloaded(
            bytes=count_bytes,
            sha256=digest.hexdigest(),
            content_type=found.response.head.first("content-type") or "",
            url=found.url,
            length_known=is_known,
            is_private=found.is_private,
            validators=_validators(found),
        )

    def _decoded(self, response: Response, is_whole: IsWhole) -> Decoded:
        """Return the body's blocks.  Raises OriginProtocol and, for a declared length, TooManyBytes."""
        check_codings(response.head)
        most, framing = self._settings.max_bytes, response.framing
        if (framing.length_bytes or 0) > most:
            raise TooManyBytes(f"the picture's file has more than {most} bytes")
        blocks = response.blocks(is_whole)
        return Decoded(blocks, framing.codings, most, is_whole, certain=framing.certain)


def _not_modified(found: _Found) -> Downloaded:
    return Downloaded(
        bytes=0,
        sha256="",
        content_type="",
        url=found.url,
        length_known=True,
        is_private=found.is_private,
        is_modified=False,
        validators=_validators(found),
    )


def _validators(found: _Found) -> Validators:
    head = found.response.head
    etags = head.fields.get("etag", [])
    modified, date = head.first("last-modified"), head.first("date")
    return validators.read(etags, modified, date, found.url.key)


def _check_status(response: Response) -> None:
    """Raise for every status but 200."""
    status = response.status
    if status in (404, 410):
        raise OriginNotFound(f"the origin answered {status}", upstream_status=status)
    if status != 200:
        wait_s = None
        if status in (429, 503):
            wait_s = redirects.retry_after_s(response.head.first("retry-after"))
        detail = f"the origin answered {status}"
        raise OriginStatus(detail, upstream_status=status, retry_after_s=wait_s)
