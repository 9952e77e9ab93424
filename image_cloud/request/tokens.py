"""Clients and their tokens: kept as SHA-256 in one 0600 file that is re-read when it changes."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from image_cloud.process import json_file
from image_cloud.process.locks import exclusive
from image_cloud.process.reread import Reread

SCOPES = ("read", "prefetch", "delete", "peer", "ops", "metrics")
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
    """The clients in the file at `path`, for the web side."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._clients: Reread[tuple[Client, ...]] = Reread(path, _clients_of, (), "tokens", clock)

    def by_token(self, token: str) -> Client | None:
        """Return the client that holds `token`; every stored hash is compared in constant time."""
        digest = hash_token(token)
        return self._find(lambda client: hmac.compare_digest(client.sha256, digest))

    def by_name(self, name: str) -> Client | None:
        """Return the client called `name`."""
        return self._find(lambda client: client.name == name)

    def all(self) -> tuple[Client, ...]:
        """Return all clients."""
        return self._clients.current()

    def _find(self, matches: Callable[[Client], bool]) -> Client | None:
        """Look among all clients; a client that is not there may have been added this moment."""
        found = list(filter(matches, self._clients.current()))
        found = found or list(filter(matches, self._clients.current(max_age_s=0.0)))
        return found[0] if found else None


def _clients_of(path: Path) -> tuple[Client, ...]:
    try:
        return read_clients(path)
    except FileNotFoundError:
        return ()


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
    with exclusive(path.with_name(path.name + ".lock")):
        clients = list(_clients_of(path))
        yield clients
        json_file.write(path, _File(tuple(clients)), mode=0o600, durable=True, indent=1)
