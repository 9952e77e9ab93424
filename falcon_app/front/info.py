"""GET /image_info and /similar: the front pool knows what is on disk, the fetch pool has the rest made."""

from __future__ import annotations

import falcon

from falcon_app.exchange import hand_on, query_of, tell
from image_cloud.fetch.info import Info, InfoFinder
from image_cloud.request.params import ImageRequest, InfoParameters
from image_cloud.similar.request import SimilarRequest


class ImageInfo:
    """GET /image_info; HEAD downloads nothing."""

    scope = "read"

    def __init__(self, finder: InfoFinder) -> None:
        self._finder = finder
        self._parameters = InfoParameters()

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Tell, or send the request on."""
        self._respond(resp, self._parameters.read(query_of(req)))

    def on_head(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Say whether the picture is here."""
        self._respond(resp, self._parameters.read(query_of(req), only_local=True))

    def _respond(self, resp: falcon.Response, wanted: ImageRequest) -> None:
        found = self._finder.find(wanted)
        if isinstance(found, Info):
            tell(resp, found.told, found.source)
        else:
            address = "/_info_here" if found.is_here else "/_info"
            hand_on(resp, address, found.arguments())


class SimilarPictures:
    """GET /similar: for operators, as it names pictures of all clients; the control pool searches."""

    scope = "ops"

    def __init__(self, infos: InfoFinder) -> None:
        self._infos = infos

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Send the request on."""
        asked = SimilarRequest.read(query_of(req))
        if asked.url is None:
            hand_on(resp, "/_similar", asked.arguments())
            return
        found = self._infos.find(ImageRequest(asked.url, no_image=True))
        if isinstance(found, Info):
            hand_on(resp, "/_similar", asked.of_hash(found.told["dhash"]).arguments())
        else:
            hand_on(resp, "/_similar_to", asked.arguments())

    on_head = on_get
