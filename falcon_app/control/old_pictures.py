"""POST /_old: the keys of old pictures that nginx has just sent, one a line."""

from __future__ import annotations

import falcon

from image_cloud.refresh.old_pictures import OldPictures

MOST_BYTES = 1 << 20


class OldPicturesSent:
    """POST /_old: only nginx itself gets here (nginx/lua/old_pictures.lua)."""

    scope = None
    internal = True

    def __init__(self, old: OldPictures) -> None:
        self._old = old

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Queue them."""
        body = req.bounded_stream.read(MOST_BYTES)
        self._old.asked_for(body.decode("ascii", "replace").split())
        resp.status = falcon.HTTP_204
