"""Authentication: the one place that checks tokens and signatures."""

from __future__ import annotations

import time
from typing import Any

import falcon

from falcon_app.exchange import query_of
from image_cloud.errors import BadParameter, ScopeMissing, TokenMissing, TokenUnknown
from image_cloud.process.log_formats import current_id
from image_cloud.request import signing
from image_cloud.request.query import Query
from image_cloud.request.steps import PARENT_ID
from image_cloud.request.tokens import Client, TokenStore

# nginx believes it for a while and hides it from clients (nginx/lua/hot_path.lua).
MAY_READ = ("X-Image-Cloud-Verdict", "read")
# When a signed URL expires, seconds since 1970: no answer to it is cached for longer (bound in hot_path.lua).
EXPIRES = "X-Image-Cloud-Expires"
# For nginx's access log, which hides it from clients: whose token it was.
TOKEN_CLIENT = "X-Image-Cloud-Token-Client"  # noqa: S105
OPEN = ("/health", "/ready")
# nginx sends it with requests of its own (nginx/snippets/to_pool.conf), and passes none on from a client.
INTERNAL = "X-Image-Cloud-Internal"


class TokenCheck:
    """Falcon middleware: 401 without a known token, 403 without the resource's `scope`, or any of several.

    A signed URL stands for a token with the scope `read` that opens that one address.
    """

    def __init__(self, tokens: TokenStore) -> None:
        self._tokens = tokens

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Find the client; addresses in OPEN may do without."""
        query = query_of(req)
        token = token_of(req, query)
        req.context.client = None
        req.context.scopes = ()
        if req.method in ("GET", "HEAD") and query.text(signing.SIGNATURE):
            req.context.client = signing.verify(req.path, query, self._tokens, time.time())
            req.context.scopes = tuple({"read"} & set(req.context.client.scopes))
            resp.set_header(EXPIRES, query.text("expires") or "")
            resp.set_header(TOKEN_CLIENT, req.context.client.name)
        elif token is not None:
            self._take(req, resp, self._tokens.by_token(token))
            if "read" in req.context.scopes:
                resp.set_header(*MAY_READ)
        elif req.path not in OPEN and not req.get_header(INTERNAL):
            raise TokenMissing("send it as Authorization: Bearer, X-Image-Cloud-Token or ?token=")

    def process_resource(
        self, req: falcon.Request, _resp: falcon.Response, resource: Any, _params: dict[str, Any]
    ) -> None:
        """Compare the client's scopes with the one that the resource names; hide what is nginx's own."""
        if getattr(resource, "internal", False) and not req.get_header(INTERNAL):
            raise falcon.HTTPNotFound
        needed = resource.scope if resource is not None else None
        any_of = (needed,) if isinstance(needed, str) else needed or req.context.scopes
        if any_of and not set(any_of) & set(req.context.scopes):
            raise ScopeMissing(f"the scope {' or '.join(any_of)} is needed here")

    def _take(self, req: falcon.Request, resp: falcon.Response, client: Client | None) -> None:
        if client is not None:
            resp.set_header(TOKEN_CLIENT, client.name)
            req.context.client = client
            req.context.scopes = client.scopes
            if "peer" in client.scopes:
                current_id.set(req.get_header(PARENT_ID) or current_id.get())
        elif req.path not in OPEN:
            raise TokenUnknown()


def token_of(req: falcon.Request, query: Query) -> str | None:
    """Return the token that the request carries, None without one.

    Raises BadParameter for more than one credential, a signature among them: which one counts must not be a
    matter of taste.  The error never repeats a credential.
    """
    bearer = _bearer(req.get_header("Authorization") or "")
    header = req.get_header("X-Image-Cloud-Token")
    tokens = [*bearer, *((header or "").split(",") if header is not None else ())]
    count = len(tokens) + query.count("token") + query.count(signing.SIGNATURE)
    if count > 1:
        raise BadParameter(f"token: {count} credentials came, allowed is one")
    return (tokens[0] if tokens else query.text("token")) or None


def _bearer(authorization: str) -> list[str]:
    """Return the tokens of an Authorization header; none where it has another scheme."""
    scheme, _, credentials = authorization.partition(" ")
    return credentials.replace(",", " ").split() if scheme.lower() == "bearer" else []
