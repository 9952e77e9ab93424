"""/login and /logout: a token is posted once, a session's cookie stands for it from then on."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

import falcon

from falcon_app.pages.forms import form_of
from falcon_app.pages.rendering import Renderer
from image_cloud.errors import TooManyAttempts
from image_cloud.pages.attempts import Attempts
from image_cloud.pages.sessions import SCOPE, Sessions, new_id
from image_cloud.request.tokens import TokenStore

log = logging.getLogger(__name__)

ADDRESS = "X-Real-IP"
REFUSED = f"This token is unknown, was revoked, or lacks the scope {SCOPE}."


class LogIn:
    """/login."""

    is_open = True

    def __init__(
        self, renderer: Renderer, tokens: TokenStore, sessions: Sessions, attempts: Attempts
    ) -> None:
        self._renderer = renderer
        self._tokens = tokens
        self._sessions = sessions
        self._attempts = attempts

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show the form; who has logged in goes on at once."""
        wanted = _own_page(req.get_param("next") or "/")
        if req.context.session:
            raise falcon.HTTPSeeOther(wanted)
        self._renderer.page(req, resp, "log_in.html", wanted=wanted, problem="")

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Open a session, with a new id; or say what is wrong, the same words whatever it is."""
        form, address = form_of(req), req.get_header(ADDRESS) or ""
        wanted, wait_s = _own_page(form.get("next", "/")), self._attempts.wait_s(address)
        if wait_s:
            raise TooManyAttempts("too many wrong tokens came from here", retry_after_s=wait_s)
        client = self._tokens.by_token(form.get("token", "").strip())
        if client is None or SCOPE not in client.scopes:
            self._attempts.failed(address)
            log.warning("event=log_in_refused address=%s", address)
            resp.status = falcon.HTTP_401
            resp.set_header("WWW-Authenticate", 'Bearer realm="Image Cloud"')
            self._renderer.page(req, resp, "log_in.html", wanted=wanted, problem=REFUSED)
            return
        req.context.set_cookie = self._sessions.open(client).id
        log.info("event=logged_in client=%s address=%s", client.name, address)
        resp.status, resp.location = falcon.HTTP_303, wanted


class LogOut:
    """/logout."""

    is_open = True

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """End the session."""
        self._sessions.close(req.context.cookie)
        req.context.set_cookie = new_id()
        resp.status, resp.location = falcon.HTTP_303, "/login"


def _own_page(address: str) -> str:
    """Return where to go after the log-in: a page of ours, whatever stands in the link."""
    parts = urlsplit(address)
    is_own = address.startswith(parts.path) and parts.path.startswith("/") and "\\" not in address
    is_plain = address.isascii() and address.isprintable() and not parts.path.startswith("//")
    return address if is_own and is_plain else "/"
