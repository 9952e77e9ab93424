"""/delete_image: the front pool checks who may, the fetch pool deletes."""

from __future__ import annotations

import dataclasses

import falcon

from falcon_app.exchange import hand_on, query_of
from image_cloud.cluster.deletes import Deletes
from image_cloud.cluster.peer_states import PeerStates
from image_cloud.errors import Forbidden
from image_cloud.picture.url import Url
from image_cloud.request.params import picture_url
from image_cloud.request.query import Query


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
        url, block = parameters(query_of(req))
        if not self._accepts:
            raise Forbidden(f"deletes are taken by {self._taker()}, not by this node")
        arguments = (
            {"url": url.text} if block is None else {"url": url.text, "block": str(block).lower()}
        )
        hand_on(resp, "/_delete", arguments)

    on_post = on_delete

    def _taker(self) -> str:
        states = self._peers.read().values()
        takers = [f"{state.name} ({state.url})" for state in states if state.accepts_deletes]
        return " or ".join(takers) or "another node, which this one has not met yet"


class DeleteImageByGet(DeleteImage):
    """The same with GET, for old clients."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Delete."""
        self.on_delete(req, resp)


class DeleteAnswer:
    """GET /_delete in the fetch pool: only nginx gets here."""

    scope = None

    def __init__(self, deletes: Deletes) -> None:
        self._deletes = deletes

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Delete and say what was done."""
        url, block = parameters(query_of(req))
        resp.media = {"url": url.text, **dataclasses.asdict(self._deletes.delete(url, block))}
        resp.set_header("Cache-Control", "no-store")


def parameters(query: Query) -> tuple[Url, bool | None]:
    """Read url and block (None: not given).  Raises BadParameter, UrlForbidden."""
    block = query.boolean("block") if query.text("block") is not None else None
    return picture_url(query), block
