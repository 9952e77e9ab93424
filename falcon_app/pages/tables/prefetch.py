"""/pages/prefetch: batches, what failed of one, cancelling and retrying."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

import falcon

from falcon_app.exchange import query_of
from falcon_app.pages.forms import form_of
from falcon_app.pages.rendering import Renderer
from image_cloud.pages.tables.batch_list import BatchList
from image_cloud.pages.tables.batches import row, rows
from image_cloud.prefetch.asked import ListRequest, ProgressRequest, batch_of, read_get

PATH = "/pages/prefetch"


class PrefetchPage:
    """/pages/prefetch: GET lists batches, with `batch` it shows one; POST cancels or retries one."""

    def __init__(self, renderer: Renderer, batches: BatchList) -> None:
        self._renderer = renderer
        self._batches = batches

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show a page of batches, or one."""
        asked = read_get(query_of(req))
        if isinstance(asked, ListRequest):
            self._list(req, resp, asked)
        else:
            self._one(req, resp, asked)

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Do what the form's button says, and go back to where it stood."""
        form = form_of(req)
        batch, client = batch_of(form.get("batch", "")), req.context.session.client.name
        self._batches.act(form.get("action", ""), batch, client)
        resp.status = falcon.HTTP_303
        resp.location = f"{PATH}?batch={quote(str(batch))}" if form.get("from") == "one" else PATH

    def _list(self, req: falcon.Request, resp: falcon.Response, asked: ListRequest) -> None:
        found, error = self._batches.newest(asked.before)
        shown = rows(found["batches"], time.time()) if found else []
        older = found["batches_before"] if found else None
        is_first = query_of(req).text("before") is None
        self._page(
            req, resp, "prefetch.html", rows=shown, older=older, error=error, is_first=is_first
        )

    def _one(self, req: falcon.Request, resp: falcon.Response, asked: ProgressRequest) -> None:
        found, error = self._batches.one(asked.batch, asked.after)
        shown = row(found, time.time()) if found else None
        failed = found["failed_urls"] if found else []
        more = found["failed_after"] if found else None
        self._page(req, resp, "batch.html", one=shown, failed=failed, more=more, error=error)

    def _page(
        self, req: falcon.Request, resp: falcon.Response, template: str, **values: Any
    ) -> None:
        self._renderer.page(req, resp, template, **values)
