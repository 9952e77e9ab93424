"""Who may see a page: a session, or a token; for each POST a form of this session, sent from this site."""

from __future__ import annotations

import hmac
from typing import Any

import falcon

from falcon_app.exchange import query_of
from falcon_app.middleware import TOKEN_CLIENT, token_of
from falcon_app.pages.forms import FORM_TOKEN, form_of
from image_cloud.errors import ForeignOrigin, FormExpired, ScopeMissing, TokenMissing, TokenUnknown
from image_cloud.pages.sessions import ID, LIFE_S, SCOPE, Session, Sessions, form_token, new_id
from image_cloud.request.tokens import TokenStore

SCHEME = "X-Image-Cloud-Scheme"  # nginx: http or https


def cookie_name(node: str) -> str:
    """Return the cookie's name: a browser sends cookies to every port of a host, so nodes differ."""
    return f"image_cloud_{node}"


class SessionCheck:
    """Falcon middleware: pages need a session, and POSTs the token of a form and this site as Origin.

    Who has none yet gets the cookie with the first page, so that the log-in's form has a token, too.

    A program reads pages with a token instead, as it reads the API; it changes things there and not here.
    """

    def __init__(self, sessions: Sessions, tokens: TokenStore, cookie: str) -> None:
        self._sessions = sessions
        self._tokens = tokens
        self._cookie = cookie

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Find cookie and session."""
        resp.set_header("Cache-Control", "no-store")
        given = req.get_cookie_values(self._cookie) or []
        known = given[0] if len(given) == 1 and ID.fullmatch(given[0]) else ""
        req.context.cookie = known or new_id()
        req.context.session = self._sessions.find(known) if known else None
        req.context.set_cookie = None

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, resource: Any, _params: dict[str, Any]
    ) -> None:
        """Refuse who has not logged in, lacks the scope, or sends a form that is not ours."""
        if resource is None:
            return
        session, is_open = req.context.session, getattr(resource, "is_open", False)
        if is_open and not req.get_cookie_values(self._cookie):
            req.context.set_cookie = req.context.cookie
        if session is None and not is_open:
            session = req.context.session = self._by_token(req)
        if session:
            resp.set_header(TOKEN_CLIENT, session.client.name)
        if req.method == "POST":
            _check_form(req)
        scope = getattr(resource, "scope", None)
        if scope and session and scope not in session.client.scopes:
            raise ScopeMissing(f"your token lacks the scope {scope}")

    def _by_token(self, req: falcon.Request) -> Session:
        """Return what a token opens: every page for as long as this request takes."""
        token = token_of(req, query_of(req)) if req.method in ("GET", "HEAD") else None
        if token is None:
            raise TokenMissing("log in at /login with a token that has the scope ops")
        client = self._tokens.by_token(token)
        if client is None:
            raise TokenUnknown
        if SCOPE not in client.scopes:
            raise ScopeMissing(f"your token lacks the scope {SCOPE}")
        return Session(req.context.cookie, client)

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, _resource: Any, _ok: bool
    ) -> None:
        """Set the cookie where a page gave a new one."""
        fresh = getattr(req.context, "set_cookie", None)
        if fresh is not None:
            resp.set_cookie(
                self._cookie, fresh, max_age=LIFE_S, path="/", http_only=True,
                secure=scheme_of(req) == "https", same_site="Strict",
            )  # fmt: skip


def _check_form(req: falcon.Request) -> None:
    if not _is_own(req):
        raise ForeignOrigin("the form was sent from another site")
    given = form_of(req).get(FORM_TOKEN, "")
    if not hmac.compare_digest(given.encode(), form_token(req.context.cookie).encode()):
        raise FormExpired("open the page again, and send its form anew")


def _is_own(req: falcon.Request) -> bool:
    """Say whether the browser sent this from a page of ours; browsers name the site with every POST."""
    origin = req.get_header("Origin")
    if origin is None:
        return req.get_header("Sec-Fetch-Site") == "same-origin"
    scheme, _, site = origin.lower().partition("://")
    return scheme in _schemes(req) and site == (req.get_header("Host") or "").lower()


def _schemes(req: falcon.Request) -> tuple[str, ...]:
    """Return what a page of ours may have come by; before a load balancer there may be TLS."""
    return ("https",) if req.get_header(SCHEME) == "https" else ("http", "https")


def scheme_of(req: falcon.Request) -> str:
    """Return what the browser uses, to us or to a load balancer: with a form it says so in Origin."""
    origin = req.get_header("Origin") or ""
    is_encrypted = req.get_header(SCHEME) == "https" or origin.startswith("https://")
    return "https" if is_encrypted else "http"
