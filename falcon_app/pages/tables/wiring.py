"""What these pages are made of."""

from __future__ import annotations

from falcon_app.http_errors import App
from falcon_app.pages.rendering import Renderer
from falcon_app.pages.tables.clients import ClientsPage
from falcon_app.pages.tables.cloning import CloningPage
from falcon_app.pages.tables.domains import DomainsPage
from falcon_app.pages.tables.prefetch import PrefetchPage
from image_cloud.history.windows import History
from image_cloud.node import Node
from image_cloud.pages.tables.batch_list import BatchList
from image_cloud.pages.tables.clients import ClientTable
from image_cloud.pages.tables.cloning import Cloning
from image_cloud.pages.tables.domains import DomainTable
from image_cloud.politeness.overview import Overview


def add_tables(app: App, renderer: Renderer, node: Node) -> None:
    """Add the pages to `app`."""
    history = History(node.config.node.name, node.history)
    cloning = Cloning(node.database, node.peer_states, history, node.audit_state)
    domains = DomainTable(Overview(node.gate), node.visits.folder)
    app.add_route("/pages/domains", DomainsPage(renderer, domains))
    app.add_route("/pages/prefetch", PrefetchPage(renderer, BatchList(node.batches)))
    app.add_route("/pages/cloning", CloningPage(renderer, cloning))
    app.add_route("/pages/clients", ClientsPage(renderer, ClientTable(node.tokens, history)))
