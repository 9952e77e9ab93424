"""Clients and their tokens: kept as SHA-256 in one 0600 file that is re-read when it changes."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import hmac
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from image_cloud.process import json_file

log = logging.getLogger(__name__)

SCOPES = ("read", "prefetch", "delete", "peer", "ops")
RECHECK_S = 1.0
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclasses.dataclass(frozen=True)
class Client:
    """Who holds a token: `sha256` is the token's hash in hex, `created` a time in seconds."""

    name: str
    sha256: str
    scopes: tuple[str, ...]
    created: float

    @property
    def signing_key(self) -> bytes:
        """Return the key that signs this client's URLs; whoever has the token can derive it."""
        return self.sha256.encode()


@dataclasses.dataclass(frozen=True)
class _File:
    """The whole file."""

    clients: tuple[Client, ...]


def hash_token(token: str) -> str:
    """Return the hex SHA-256 of a token, the only form in which it is kept."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


class TokenStore:
    """Reads the file for the web side: the last good content stays when a new one is broken.

    Reads `path` lazily and looks for a change at most every RECHECK_S seconds of `clock`.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._checked = float("-inf")
        self._seen: tuple[int, int, int] | None = None
        self._clients: tuple[Client, ...] = ()

    def by_token(self, token: str) -> Client | None:
        """Return the client that holds `token`; every stored hash is compared in constant time."""
        digest = hash_token(token)
        return self._find(lambda client: hmac.compare_digest(client.sha256, digest))

    def by_name(self, name: str) -> Client | None:
        """Return the client called `name`."""
        return self._find(lambda client: client.name == name)

    def _find(self, matches: Callable[[Client], bool]) -> Client | None:
        """Look among all clients; a client that is not there may have been added this moment."""
        self._refresh(RECHECK_S)
        found = [client for client in self._clients if matches(client)]
        if not found:
            self._refresh(0.0)
            found = [client for client in self._clients if matches(client)]
        return found[0] if found else None

    def _refresh(self, older_than_s: float) -> None:
        now = self._clock()
        if now - self._checked >= older_than_s:
            self._checked = now
            self._reread()

    def _reread(self) -> None:
        try:
            status = os.stat(self._path)
            seen = (status.st_mtime_ns, status.st_ino, status.st_size)
            if seen != self._seen:
                self._clients = read_clients(self._path)
                self._seen = seen
        except FileNotFoundError:
            self._clients, self._seen = (), None
        except (OSError, ValueError) as error:
            log.error("event=token_file_unreadable error=%s kept=last_good", type(error).__name__)


def read_clients(path: Path) -> tuple[Client, ...]:
    """Read the token file.  Raises OSError, ValueError for anything but what `add` writes."""
    return json_file.load(path, _File).clients


def add(path: Path, name: str, scopes: Iterable[str], token: str | None = None) -> str:
    """Add a client and return its token, which is nowhere kept.

    `token` sets a given one (at least 20 characters) instead of a new random one.
    Raises ValueError for a bad or taken name, an unknown scope, a token that is too short.
    """
    wanted = tuple(dict.fromkeys(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        raise ValueError(f"scopes: {', '.join(unknown) or 'none'}: known are {', '.join(SCOPES)}")
    if not NAME_PATTERN.fullmatch(name):
        raise ValueError("name: expected up to 63 letters, digits, dots, dashes or underscores")
    if token is not None and not re.fullmatch(r"[\x21-\x7e]{20,200}", token):
        raise ValueError("token: expected 20 to 200 printable ASCII characters without blanks")
    token = token or secrets.token_urlsafe(32)
    with _editing(path) as clients:
        if any(client.name == name for client in clients):
            raise ValueError(f"name: {name} is taken")
        clients.append(Client(name, hash_token(token), wanted, time.time()))
    return token


def revoke(path: Path, name: str) -> None:
    """Remove the client called `name`.  Raises ValueError where there is none."""
    with _editing(path) as clients:
        kept = [client for client in clients if client.name != name]
        if len(kept) == len(clients):
            raise ValueError(f"name: no client is called {name}")
        clients[:] = kept


@contextlib.contextmanager
def _editing(path: Path) -> Iterator[list[Client]]:
    """Hold the file's lock; write the list back, atomically and 0600, if the block succeeds."""
    lock = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        clients = list(read_clients(path)) if path.exists() else []
        yield clients
        json_file.write(path, _File(tuple(clients)), mode=0o600, durable=True, indent=1)
    finally:
        os.close(lock)
