"""The POST that tells a batch's end: its body, and the headers that prove from whom it comes."""

from __future__ import annotations

import hashlib
import hmac
import json

from image_cloud.db.prefetch.batches import Progress
from image_cloud.prefetch.shown import facts

CLIENT = "X-Image-Cloud-Client"
TIMESTAMP = "X-Image-Cloud-Timestamp"
SIGNATURE = "X-Image-Cloud-Signature"


def body_of(progress: Progress) -> bytes:
    """Return how the batch ended, as JSON."""
    return json.dumps(facts(progress)).encode()


def headers_of(body: bytes, client: str, key: bytes, now: float) -> dict[str, str]:
    """Return the headers for `body`; `key` is what signs this client's URLs, `now` in seconds since 1970."""
    timestamp = str(int(now))
    return {
        "Content-Type": "application/json",
        CLIENT: client,
        TIMESTAMP: timestamp,
        SIGNATURE: signature_of(timestamp, body, key),
    }


def signature_of(timestamp: str, body: bytes, key: bytes) -> str:
    """Return the hex HMAC-SHA256 of `callback`, timestamp and body, a line each: never that of a URL."""
    message = b"\n".join((b"callback", timestamp.encode(), body))
    return hmac.new(key, message, hashlib.sha256).hexdigest()
