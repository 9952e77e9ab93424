"""Signed URLs: one exact address, open until it expires, without a token.

The signature is the hex HMAC-SHA256 of `path?parameters`, where the parameters (all but `signature`)
are sorted by name and value and percent-encoded as RFC 3986 says (all but letters, digits and `-._~`).
The key is the hex SHA-256 of the client's token.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from image_cloud.errors import BadSignature, SignatureExpired
from image_cloud.request.query import Query
from image_cloud.request.tokens import Client, TokenStore

SIGNATURE = "signature"


def signature_of(path: str, parameters: list[tuple[str, str]], key: bytes) -> str:
    """Return the signature of `path` with `parameters` (decoded, without `signature`)."""
    message = f"{path}?{urlencode(sorted(parameters), quote_via=quote, safe='')}"
    return hmac.new(key, message.encode(), hashlib.sha256).hexdigest()


def sign(address: str, client: Client, expires: int) -> str:
    """Return `address` (path or absolute URL) with expires, client and signature added.

    `expires` is a time in seconds since 1970.
    """
    parts = urlsplit(address)
    parameters = parse_qsl(parts.query, keep_blank_values=True)
    parameters = [pair for pair in parameters if pair[0] not in ("expires", "client", SIGNATURE)]
    parameters += [("expires", str(expires)), ("client", client.name)]
    parameters += [(SIGNATURE, signature_of(parts.path, parameters, client.signing_key))]
    return parts._replace(query=urlencode(parameters), fragment="").geturl()


def verify(path: str, query: Query, tokens: TokenStore, now: float) -> Client:
    """Return the client that signed this address.  Raises BadSignature, SignatureExpired."""
    expires, name, given = (query.text(part) for part in ("expires", "client", SIGNATURE))
    client = tokens.by_name(name) if name else None
    if client is None or given is None or not re.fullmatch(r"[0-9]{1,12}", expires or ""):
        raise BadSignature("a signed URL has expires, client and signature, all of them valid")
    parameters = [pair for pair in query.items() if pair[0] != SIGNATURE]
    wanted = signature_of(path, parameters, client.signing_key)
    if not hmac.compare_digest(wanted.encode(), given.encode()):
        raise BadSignature("the signature does not belong to this address")
    if now >= int(expires or 0):
        raise SignatureExpired(f"the signed URL expired {int(now - int(expires or 0))} s ago")
    return client
