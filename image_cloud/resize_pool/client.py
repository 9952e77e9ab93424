"""How the fetch pool has bytes resized that are on no disk: POST to the resize pool's socket."""

from __future__ import annotations

import dataclasses
import http.client
from urllib.parse import quote

import falcon

from image_cloud.errors import Busy
from image_cloud.process.unix_http import UnixConnection


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the resize pool said: a picture or a problem document."""

    status: int
    headers: dict[str, str]
    body: bytes

    def copy_to(self, resp: falcon.Response) -> None:
        """Give the same answer."""
        resp.status = self.status
        resp.data = self.body
        for name, value in self.headers.items():
            resp.set_header(name, value)


class ResizeClient:
    """Asks the resize pool at a unix socket.

    `timeout_s` bounds waiting and resizing together.
    """

    PASSED_ON = ("Content-Type", "Cache-Control", "Retry-After", "X-Cache")

    def __init__(self, path: str, timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def resize(self, data: bytes, variant: str, request_id: str) -> Answer:
        """Return the answer for `data` resized to `variant`.  Raises Busy without one."""
        connection = UnixConnection(self._path, self._timeout_s)
        try:
            headers = {"X-Request-Id": request_id}
            connection.request("POST", f"/_resize?variant={quote(variant)}", data, headers)
            response = connection.getresponse()
            kept = {n: v for n in self.PASSED_ON if (v := response.getheader(n)) is not None}
            return Answer(response.status, kept, response.read())
        except (OSError, http.client.HTTPException) as error:
            raise Busy("the resize pool gave no answer", retry_after_s=5) from error
        finally:
            connection.close()
