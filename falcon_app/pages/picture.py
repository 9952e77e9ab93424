"""/pages/picture: what the nodes know of one URL, its files, and what can be done to it."""

from __future__ import annotations

import logging

import falcon

from falcon_app.exchange import query_of, respond
from falcon_app.pages.forms import form_of
from falcon_app.pages.rendering import Renderer
from image_cloud.pages.actions import ACTIONS, Actions
from image_cloud.pages.picture import Pictures
from image_cloud.picture.url import Url
from image_cloud.request.parameter import PictureUrl
from image_cloud.request.steps import HIT, SendFile

log = logging.getLogger(__name__)


class PicturePage:
    """GET /pages/picture: `url`; without it, the form that asks for one."""

    def __init__(self, renderer: Renderer, pictures: Pictures) -> None:
        self._renderer = renderer
        self._pictures = pictures

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show it, with the actions that make sense."""
        query = query_of(req)
        told = self._pictures.told(PictureUrl().of(query)) if query.text("url") else None
        left_out = "block" if told and told.is_blocked else "unblock"
        actions = [one for one in ACTIONS.values() if one.name != left_out]
        self._renderer.page(req, resp, "picture.html", told=told, actions=actions)

    on_head = on_get


class PictureFile:
    """GET /pages/picture/file: `url`, `variant`: the bytes, for who has a session; nginx sends them."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Send the original or one of its variants."""
        query = query_of(req)
        relative = self._pictures.file(PictureUrl().of(query), query.text("variant") or "")
        respond(resp, SendFile(relative, HIT))
        resp.set_header("Cache-Control", "private, no-store")

    on_head = on_get


class PictureAction:
    """/pages/picture/ACTION: a page that asks once more, and the form behind it."""

    def __init__(self, renderer: Renderer, actions: Actions, name: str) -> None:
        self._renderer = renderer
        self._actions = actions
        self._action = ACTIONS[name]
        self.scope = self._action.scope

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Ask."""
        self._show(req, resp, PictureUrl().of(query_of(req)), "")

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Do it, and say what came of it."""
        url = Url.parse(form_of(req).get("url", ""))
        client = req.context.session.client.name
        log.info("event=page_action action=%s key=%s client=%s", self._action.name, url.key, client)
        self._show(req, resp, url, self._actions.do(self._action, url))

    def _show(self, req: falcon.Request, resp: falcon.Response, url: Url, outcome: str) -> None:
        why_not = self._actions.why_not(self._action)
        self._renderer.page(
            req, resp, "confirm.html", action=self._action, url=url.text, why_not=why_not,
            outcome=outcome,
        )  # fmt: skip
