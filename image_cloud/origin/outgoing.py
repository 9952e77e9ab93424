"""The requests that are sent to origins, byte for byte."""

from __future__ import annotations

from collections.abc import Collection

from image_cloud.picture.formats import MIMES
from image_cloud.picture.url import Url

LAST_RESORT = "*/*;q=0.1"


def accept_of(formats: Collection[str]) -> str:
    """Return the value of Accept for formats by their names: these, and anything else if need be."""
    return ",".join([*(MIMES[name] for name in formats), LAST_RESORT])


class Outgoing:
    """Writes requests; `formats` are the names of those that may come."""

    def __init__(self, user_agent: str, formats: Collection[str]) -> None:
        self._usual = (
            f"User-Agent: {user_agent}\r\n"
            f"Accept: {accept_of(formats)}\r\n"
            "Accept-Encoding: identity\r\n"
            "\r\n"
        )

    def get(self, url: Url) -> bytes:
        """Return the request for `url`."""
        start = f"GET {url.target} HTTP/1.1\r\nHost: {url.host_header}\r\n"
        return (start + self._usual).encode("latin-1")
