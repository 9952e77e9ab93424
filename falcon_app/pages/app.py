"""What the pages are made of, and which requests of the control pool are theirs."""

from __future__ import annotations

import functools

from falcon_app.http_errors import App, new_app
from falcon_app.pages.error_page import ErrorPage
from falcon_app.pages.log_in import LogIn, LogOut
from falcon_app.pages.overview import OverviewPage
from falcon_app.pages.rendering import Renderer
from falcon_app.pages.session import SessionCheck, cookie_name
from image_cloud.node import Node
from image_cloud.pages.attempts import Attempts
from image_cloud.pages.nodes import Ask, Nodes
from image_cloud.pages.sessions import Sessions
from image_cloud.supervision.node_status import readiness_of, status_of


def create_pages(node: Node) -> App:
    """Return the app of the pages; nginx sends their requests here (nginx/snippets/pages.conf)."""
    name = node.config.node.name
    sessions = Sessions(node.run / "pools/sessions", node.tokens)
    renderer = Renderer(name)
    app = new_app(ErrorPage(renderer), SessionCheck(sessions, cookie_name(name)))
    app.add_route("/login", LogIn(renderer, node.tokens, sessions, Attempts()))
    app.add_route("/logout", LogOut(sessions))
    app.add_route("/", OverviewPage(renderer, _nodes(node)))
    return app


def _nodes(node: Node) -> Nodes:
    status, peers = status_of(node, readiness_of(node)), node.peers
    questions: list[tuple[str, str, Ask]] = [
        (peer.name, peer.url, functools.partial(peers.node_status, peer)) for peer in peers.all
    ]
    return Nodes((node.config.node.name, status.facts), questions)
