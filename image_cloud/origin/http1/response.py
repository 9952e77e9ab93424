"""One response: its head, then its body in blocks, then whether the connection may go on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from image_cloud.errors import OriginProtocol, OriginReset, OriginTimeout, OriginTls
from image_cloud.origin.http1.body import Body
from image_cloud.origin.http1.framing import framing_of
from image_cloud.origin.http1.head import Head, parse
from image_cloud.origin.http1.inbound import Inbound

MOST_HEAD_BYTES = 256 * 1024
SMALL_BYTES = 64 * 1024


class Response:
    """The answer to one request.

    `status` and `head` are what it says; `declared_bytes` is the length on the wire, None where it is
    not known before.
    """

    def __init__(self, inbound: Inbound, head: Head, read_timeout_s: float) -> None:
        self.head = head
        self.status = head.status
        self.framing = framing_of(head)
        self._inbound = inbound
        # A coding may tell its end before the connection does.
        self._body = Body(inbound, read_timeout_s, as_it_comes=bool(self.framing.codings))
        self._is_untouched = True

    @property
    def declared_bytes(self) -> int | None:
        """Return the body's length on the wire, None where it is not known before."""
        return self.framing.length_bytes

    @property
    def is_complete(self) -> bool:
        """Say whether the body was read to an end that the server declared."""
        return self._body.is_complete

    def blocks(self, is_whole: Callable[[], bool]) -> Iterator[bytes]:
        """Yield the body as it stands on the wire, without its chunks.

        `is_whole` judges, after a silence, whether what came is all that is wanted.
        Raises OriginReset, OriginProtocol and OriginTimeout.
        """
        self._is_untouched = False
        self._body.is_whole = is_whole
        if self.framing.is_chunked or self._turns_out_chunked():
            return self._body.chunked()
        if self.declared_bytes is not None:
            return self._body.of_length(self.declared_bytes)
        return self._body.to_the_end()

    def _turns_out_chunked(self) -> bool:
        return self.framing.may_be_chunked and self._body.begins_with_a_chunk()

    def leaves_clean(self) -> bool:
        """Say whether the connection may be used again: all was read, and nothing came behind it.

        A small body of an error or a redirect that is there already is dropped.  Does not wait.
        """
        if not self.framing.keeps:
            return False
        if self._is_untouched:
            return self._drop_small_body() and self._inbound.is_empty
        return self._body.is_clean and self._inbound.is_empty

    def _drop_small_body(self) -> bool:
        if self.declared_bytes is None or self.declared_bytes > SMALL_BYTES:
            return False
        with contextlib.suppress(OriginReset, OriginTimeout, OriginTls):
            return self._inbound.discard(self.declared_bytes)
        return False


def receive(inbound: Inbound, read_timeout_s: float) -> Response:
    """Read the head of the answer; any 1xx before it is skipped, and counts for the bound on bytes.

    Raises OriginProtocol, OriginReset, OriginTimeout, OriginTls.
    """
    left_bytes = MOST_HEAD_BYTES
    while left_bytes > 0:
        block = inbound.head(left_bytes)
        head = parse(block)
        if head.status >= 200:
            return Response(inbound, head, read_timeout_s)
        left_bytes -= len(block)
    raise OriginProtocol("malformed response: interim responses without an end")
