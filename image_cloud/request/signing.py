"""Signed URLs: one exact address, open until it expires, without a token.

The signature is the hex HMAC-SHA256 of `path?parameters`, where the parameters (all but `signature`)
are sorted by name and value and percent-encoded as RFC 3986 says (all but letters, digits and `-._~`),
or as the usual libraries do: ENCODINGS.  The key is the hex SHA-256 of the client's token.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qsl, quote, quote_plus, urlencode, urlsplit

from image_cloud.config.sections import ENCODABLE, Resize
from image_cloud.errors import BadSignature, SignatureExpired
from image_cloud.request.params import ImageParameters, InfoParameters, ThumbnailParameters
from image_cloud.request.query import Query
from image_cloud.request.tokens import Client, TokenStore

SIGNATURE = "signature"
Encoding = Callable[[str], str]
RFC3986: Encoding = partial(quote, safe="")
ENCODINGS: tuple[Encoding, ...] = (
    RFC3986,
    partial(quote_plus, safe=""),  # Python's urlencode
    lambda text: quote_plus(text, safe="*").replace("~", "%7E"),  # JavaScript's URLSearchParams
    lambda text: quote_plus(text, safe="").replace("~", "%7E"),  # PHP's http_build_query
)


def signature_of(
    path: str, parameters: list[tuple[str, str]], key: bytes, encode: Encoding = RFC3986
) -> str:
    """Return the signature of `path` with `parameters` (decoded, without `signature`)."""
    pairs = (f"{encode(name)}={encode(value)}" for name, value in sorted(parameters))
    message = f"{path}?{'&'.join(pairs)}"
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


def why_not(address: str) -> str:
    """Say why `address` is not worth signing, nothing where it is.

    A URL whose `&` is not escaped would be signed as another URL and parameters that nobody reads.
    """
    parts = urlsplit(address)
    known = _signable().get(parts.path)
    if known is None:
        return f"{parts.path or 'an empty path'}: expected is one of {', '.join(_signable())}"
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    if "token" in names:
        return "token: leave it out; a signed URL needs none"
    unknown = [name for name in names if name not in known]
    if unknown:
        return f"{unknown[0]}: not a parameter of {parts.path}; write an & inside url as %26"
    return "" if names.count("url") == 1 else "url: expected once"


def verify(path: str, query: Query, tokens: TokenStore, now: float) -> Client:
    """Return the client that signed this address.  Raises BadSignature, SignatureExpired."""
    expires, name, given = (query.text(part) for part in ("expires", "client", SIGNATURE))
    client = tokens.by_name(name) if name else None
    if client is None or given is None or not re.fullmatch(r"[0-9]{1,12}", expires or ""):
        raise BadSignature("a signed URL has expires, client and signature, all of them valid")
    parameters = [pair for pair in query.items() if pair[0] != SIGNATURE]
    wanted = [signature_of(path, parameters, client.signing_key, way) for way in ENCODINGS]
    if not any(hmac.compare_digest(one.encode(), given.encode()) for one in wanted):
        raise BadSignature("the signature does not belong to this address")
    if now >= int(expires or 0):
        raise SignatureExpired(f"the signed URL expired {int(now - int(expires or 0))} s ago")
    return client


def _signable() -> dict[str, set[str]]:
    """Return the paths that a signature may open, and the names of their parameters."""
    thumbnail = ThumbnailParameters(Resize()).names()
    image = ImageParameters(Resize(), ENCODABLE).names()
    return {
        "/get_image": image,
        "/get_thumbnail": thumbnail,
        "/iproxy.php": thumbnail,
        "/image_info": InfoParameters().names(),
    }
