"""POST /refresh_image: the front pool checks who asks, the fetch pool asks the origin."""

from __future__ import annotations

import falcon

from falcon_app.exchange import hand_on, query_of
from image_cloud.request.params import RefreshParameters


class RefreshImage:
    """POST /refresh_image: `url`."""

    scope = "prefetch"

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Send the request on; nginx makes an internal GET of it."""
        url = RefreshParameters().url.of(query_of(req))
        hand_on(resp, "/_refresh", {"url": url.text})
