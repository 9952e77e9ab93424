"""GET /: the nodes, what is wrong with them, and this node's last hours."""

from __future__ import annotations

import falcon

from falcon_app.exchange import query_of
from falcon_app.pages.rendering import Renderer
from image_cloud.history.windows import History, HistoryRequest
from image_cloud.pages.cards import cards
from image_cloud.pages.charts import LENGTHS, drawn, picked
from image_cloud.pages.nodes import Nodes
from image_cloud.pages.problems import problems


class OverviewPage:
    """GET /."""

    def __init__(self, renderer: Renderer, nodes: Nodes, history: History) -> None:
        self._renderer = renderer
        self._nodes = nodes
        self._history = history

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show problems first, then a card for each node, then charts of the wanted `window`."""
        asked = HistoryRequest.read(query_of(req))
        states = self._nodes.states()
        found = problems(states)
        self._renderer.page(
            req, resp, "overview.html", problems=found, cards=cards(states, found),
            charts=drawn(self._history.answer(asked)), window=asked.window, windows=LENGTHS,
        )  # fmt: skip

    on_head = on_get


class ChartValues:
    """GET /pages/overview/history: what the charts draw, as JSON."""

    def __init__(self, history: History) -> None:
        self._history = history

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the columns of the wanted `window`."""
        resp.media = picked(self._history.answer(HistoryRequest.read(query_of(req))))

    on_head = on_get
