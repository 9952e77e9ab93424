"""POST /originals: many originals in one stream, for a peer that lacks them."""

from __future__ import annotations

import falcon

from falcon_app.exchange import query_of
from image_cloud.bulk.ahead import in_time
from image_cloud.bulk.request import MOST_BYTES, StreamParameters, read_keys
from image_cloud.bulk.sending import stream
from image_cloud.storage.store import Store

LONGEST_S = 120.0
SOCKET = "gunicorn.socket"  # in the WSGI environment


class Originals:
    """POST /originals: the body has one key a line, the answer is a tar in that order (docs/scaling.md)."""

    scope = "peer"

    def __init__(self, store: Store) -> None:
        self._store = store

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Send those that are here, as fast as the peer takes them."""
        keys = read_keys(req.bounded_stream.read(MOST_BYTES + 1))
        records_only = StreamParameters().records_only.of(query_of(req))
        blocks = stream(self._store, keys, LONGEST_S, records_only=records_only)
        resp.stream = in_time(blocks, req.env.get(SOCKET))
        resp.content_type = "application/x-tar"
        resp.set_header("Cache-Control", "no-store")
