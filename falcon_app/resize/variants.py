"""Resize pool: one picture at a time, in a sandbox."""

from __future__ import annotations

import falcon

from falcon_app.exchange import (
    RESIZED,
    query_of,
    request_id,
    send_data,
    send_nothing,
    send_variant,
)
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
        data = self._maker.make(asked.original, asked.recipe, request_id(req))
        if data is not None:
            send_data(resp, data, asked.recipe.extension, RESIZED)
        elif asked.no_image:
            send_nothing(resp, RESIZED)
        else:
            send_variant(resp, asked.original.key, asked.recipe, RESIZED)

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Resize the body and answer with the picture itself."""
        asked = ResizeRequest.read(query_of(req))
        source, original = req.bounded_stream, asked.original
        data = self._maker.resize(source, original, asked.recipe, request_id(req))
        send_data(resp, data, asked.recipe.extension, RESIZED)
