"""GET /: the nodes, and what is wrong with them."""

from __future__ import annotations

import falcon

from falcon_app.pages.rendering import Renderer
from image_cloud.pages.cards import cards
from image_cloud.pages.nodes import Nodes
from image_cloud.pages.problems import problems


class OverviewPage:
    """GET /."""

    def __init__(self, renderer: Renderer, nodes: Nodes) -> None:
        self._renderer = renderer
        self._nodes = nodes

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show problems first, then a card for each node."""
        states = self._nodes.states()
        found = problems(states)
        self._renderer.page(req, resp, "overview.html", problems=found, cards=cards(states, found))

    on_head = on_get
