"""Resize pool: one picture at a time, in a sandbox."""

from __future__ import annotations

import falcon

from falcon_app.exchange import query_of, request_id, respond
from image_cloud.request.internal import ResizeRequest
from image_cloud.resize_pool.maker import Maker


class Resize:
    """GET /_resize (an original on disk) and POST /_resize (bytes on no disk).

    Only nginx, the fetch pool and the prefetch daemon get here.
    """

    scope = None

    def __init__(self, maker: Maker) -> None:
        self._maker = maker

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Make the variant unless another request just did, and let nginx send it."""
        asked = ResizeRequest.read(query_of(req))
        respond(resp, self._maker.make(asked, request_id(req)))

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Resize the body and answer with the picture itself."""
        asked = ResizeRequest.read(query_of(req))
        respond(resp, self._maker.resize(asked, req.bounded_stream, request_id(req)))
