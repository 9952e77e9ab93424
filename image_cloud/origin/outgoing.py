"""The requests that are sent to origins, byte for byte."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from image_cloud.origin.request_headers import Extra
from image_cloud.picture.formats import MIMES
from image_cloud.picture.url import Url

LAST_RESORT = "*/*;q=0.1"
NO_CONDITIONS: Mapping[str, str] = {}


def accept_of(formats: Collection[str]) -> str:
    """Return the value of Accept for formats by their names: these, and anything else if need be."""
    return ",".join([*(MIMES[name] for name in formats), LAST_RESORT])


class Outgoing:
    """Writes requests; `formats` are the names of those that may come."""

    def __init__(self, user_agent: str, formats: Collection[str]) -> None:
        self._usual = {
            "User-Agent": user_agent,
            "Accept": accept_of(formats),
            "Accept-Encoding": "identity",
        }
        self._lines = _lines(self._usual)

    def get(self, url: Url, extra: Extra, conditions: Mapping[str, str] = NO_CONDITIONS) -> bytes:
        """Return the request for `url`, with `extra` headers beside the usual ones or in their place.

        With `conditions` it asks for the bytes only where they have changed.
        """
        start = f"GET {url.target} HTTP/1.1\r\nHost: {url.host_header}\r\n"
        lines = _lines(self._with(extra)) if extra.headers else self._lines
        return f"{start}{lines}{_lines(conditions)}\r\n".encode("latin-1")

    def user_agent(self, extra: Extra) -> str:
        """Return as whom a request with `extra` headers comes."""
        return self._with(extra)["User-Agent"] if extra.headers else self._usual["User-Agent"]

    def _with(self, extra: Extra) -> dict[str, str]:
        names = {name.lower(): name for name in self._usual}
        replaced = {names.get(name.lower(), name): value for name, value in extra.headers.items()}
        return self._usual | replaced


def _lines(headers: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())
