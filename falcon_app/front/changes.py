"""GET /changes, the feed that peers follow: the control pool waits and answers."""

from __future__ import annotations

import falcon

from falcon_app.exchange import hand_on, query_of
from image_cloud.cluster.feed_page import PageRequest


class Changes:
    """GET /changes: `cursor`, `limit`, `wait` (seconds); or `key` alone."""

    scope = "peer"

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Check the parameters and send the request on to where waiting is free."""
        hand_on(resp, "/_changes", PageRequest.read(query_of(req)).arguments())

    on_head = on_get
