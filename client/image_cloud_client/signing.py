"""Signed URLs: one exact address, open until it expires, without a token (docs/api.md)."""

from __future__ import annotations

import hashlib
import hmac

from image_cloud_client.options import Pairs, address


def sign(base: str, path: str, parameters: Pairs, *, client: str, token: str, expires: int) -> str:
    """Return the signed URL of `path` with `parameters` (decoded) on the node `base`.

    `client` is the name of the token's client, `expires` a time in seconds since 1970.
    """
    signed = sorted([*parameters, ("client", client), ("expires", str(expires))])
    key = hashlib.sha256(token.encode()).hexdigest().encode()
    message = address("", path, signed).encode()
    signature = hmac.new(key, message, hashlib.sha256).hexdigest()
    return address(base, path, [*signed, ("signature", signature)])
