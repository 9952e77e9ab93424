"""Sessions of the operator's pages: a file each, so that they outlive a restart of the pool.

A file's name is the hash of the session's id, and in it stand the client's name and its token's hash: whoever
reads the folder can neither take a session over nor use a token.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from image_cloud.errors import StorageUnavailable
from image_cloud.process import json_file
from image_cloud.request.tokens import Client, TokenStore

LIFE_S = 8 * 3600
SCOPE = "ops"
MOST_SESSIONS = 1000
FOLDER_MODE, FILE_MODE = 0o700, 0o600
ID = re.compile(r"[A-Za-z0-9_-]{43}")  # 256 bits


@dataclasses.dataclass(frozen=True)
class Session:
    """Somebody who has logged in; `client` is as it is now, its scopes included."""

    id: str
    client: Client


@dataclasses.dataclass(frozen=True)
class _Kept:
    """What stands in a file; `opened_at` is a time in seconds since 1970."""

    client: str
    token_sha256: str
    opened_at: float


class Sessions:
    """The sessions below `folder`, for any number of threads and processes."""

    def __init__(
        self, folder: Path, tokens: TokenStore, clock: Callable[[], float] = time.time
    ) -> None:
        self._folder = folder
        self._tokens = tokens
        self._clock = clock

    def open(self, client: Client) -> Session:
        """Open a session of `client`.  Raises StorageUnavailable."""
        session = Session(new_id(), client)
        kept = _Kept(client.name, client.sha256, self._clock())
        try:
            self._folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            self._make_room()
            json_file.write(self._path(session.id), kept, mode=FILE_MODE)
        except OSError as error:
            raise StorageUnavailable("a session cannot be kept; is the disk full?") from error
        return session

    def find(self, session_id: str) -> Session | None:
        """Return the session, None where it has ended or its token is revoked or no operator's any more."""
        if not ID.fullmatch(session_id):
            return None
        kept = json_file.read(self._path(session_id), _Kept)
        client = self._client(kept) if kept else None
        return Session(session_id, client) if client else None

    def close(self, session_id: str) -> None:
        """End a session."""
        with contextlib.suppress(OSError):
            self._path(session_id).unlink()

    def _client(self, kept: _Kept) -> Client | None:
        if not 0 <= self._clock() - kept.opened_at < LIFE_S:
            return None
        client = self._tokens.by_name(kept.client)
        if client is None or not hmac.compare_digest(client.sha256, kept.token_sha256):
            return None
        return client if SCOPE in client.scopes else None

    def _path(self, session_id: str) -> Path:
        return self._folder / f"{hashlib.sha256(session_id.encode()).hexdigest()}.json"

    def _make_room(self) -> None:
        """Remove what has ended, and the oldest where there are too many."""
        ages = sorted((_opened(path), path) for path in self._folder.glob("*.json"))
        too_many = max(0, len(ages) - MOST_SESSIONS + 1)
        for number, (opened_at, path) in enumerate(ages):
            if number < too_many or self._clock() - opened_at >= LIFE_S:
                with contextlib.suppress(OSError):
                    path.unlink()


def new_id() -> str:
    """Return 256 random bits as text."""
    return secrets.token_urlsafe(32)


def form_token(session_id: str) -> str:
    """Return what every form of this session carries: no other site can know it."""
    return hmac.new(session_id.encode(), b"form", hashlib.sha256).hexdigest()


def _opened(path: Path) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0
