"""/delete_image: the front pool checks who may, the control pool deletes."""

from __future__ import annotations

import falcon

from falcon_app.exchange import hand_on, query_of
from image_cloud.cluster.peer_states import PeerStates
from image_cloud.errors import Forbidden
from image_cloud.request.params import DeleteParameters


class DeleteImage:
    """DELETE and POST /delete_image in the front pool: `url`, `block`.

    Without `accepts`, the answer names the peer that does.
    """

    scope = "delete"

    def __init__(self, *, accepts: bool, peers: PeerStates) -> None:
        self._accepts = accepts
        self._peers = peers

    def on_delete(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Send the request on; nginx makes an internal GET of it."""
        asked = DeleteParameters().read(query_of(req))
        if not self._accepts:
            raise Forbidden(f"deletes are taken by {self._taker()}, not by this node")
        hand_on(resp, "/_delete", asked.arguments())

    on_post = on_delete

    def _taker(self) -> str:
        takers = [f"{peer.name} ({peer.url})" for peer in self._peers.takers_of_deletes()]
        return " or ".join(takers) or "another node, which this one has not met yet"


class DeleteImageByGet(DeleteImage):
    """The same with GET, for old clients."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Delete."""
        self.on_delete(req, resp)
