"""GET /_refresh: asks an origin now whether it has changed a picture."""

from __future__ import annotations

import falcon

from falcon_app.exchange import query_of
from image_cloud.refresh.answer import RefreshAnswers
from image_cloud.request.params import RefreshParameters


class RefreshAnswer:
    """GET /_refresh: only nginx gets here, sent by the front pool."""

    scope = None

    def __init__(self, answers: RefreshAnswers) -> None:
        self._answers = answers

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Ask, and say what came of it."""
        resp.media = self._answers.refresh(RefreshParameters().url.of(query_of(req)))
        resp.set_header("Cache-Control", "no-store")
