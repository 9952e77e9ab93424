"""The cache key of a URL, and where a key's files stand below a root."""

from __future__ import annotations

import hashlib
import hmac
import re

KEY_PATTERN = re.compile(r"[0-9a-f]{64}")
_SEED = hmac.new(b"image-cloud", digestmod=hashlib.sha256)


def key_of(url: str) -> str:
    """Return the 64 hex digits that name `url` on disk; nginx/lua/hot_path.lua gives the same."""
    mac = _SEED.copy()
    mac.update(url.encode())
    return mac.hexdigest()


def fan_out(key: str) -> str:
    """Return `ab/cd` for a key `abcd...`: 65,536 folders, so that none grows too large."""
    return f"{key[:2]}/{key[2:4]}"
