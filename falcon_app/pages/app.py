"""What the pages are made of, and which requests of the control pool are theirs."""

from __future__ import annotations

import functools

from falcon_app.http_errors import App, new_app
from falcon_app.pages.api_docs import ApiDescription, ApiDocs
from falcon_app.pages.error_page import ErrorPage
from falcon_app.pages.log_in import LogIn, LogOut
from falcon_app.pages.overview import ChartValues, OverviewPage
from falcon_app.pages.picture import PictureAction, PictureFile, PicturePage
from falcon_app.pages.playground import PlaygroundPage
from falcon_app.pages.rendering import Renderer
from falcon_app.pages.session import SessionCheck, cookie_name
from falcon_app.pages.tables.wiring import add_tables
from image_cloud.history.windows import History
from image_cloud.node import Node
from image_cloud.pages.actions import ACTIONS, Actions
from image_cloud.pages.attempts import Attempts
from image_cloud.pages.nodes import Ask, Nodes
from image_cloud.pages.picture import Pictures
from image_cloud.pages.playground import Playground
from image_cloud.pages.sessions import Sessions
from image_cloud.process.sockets import socket_path
from image_cloud.request.writable import writable_formats
from image_cloud.supervision.node_status import readiness_of, status_of


def create_pages(node: Node) -> App:
    """Return the app of the pages; nginx sends their requests here (nginx/snippets/pages.conf)."""
    name = node.config.node.name
    sessions = Sessions(node.run / "pools/sessions", node.tokens)
    renderer = Renderer(name)
    app = new_app(ErrorPage(renderer), SessionCheck(sessions, node.tokens, cookie_name(name)))
    app.req_options.strip_url_path_trailing_slash = True
    app.add_route("/login", LogIn(renderer, node.tokens, sessions, Attempts()))
    app.add_route("/logout", LogOut(sessions))
    history = History(name, node.history)
    app.add_route("/", OverviewPage(renderer, _nodes(node), history))
    app.add_route("/pages/overview/history", ChartValues(history))
    _add_picture(app, renderer, node)
    resize, formats = node.config.resize, writable_formats()
    app.add_route("/pages/playground", PlaygroundPage(renderer, Playground(resize, formats)))
    app.add_route("/docs", ApiDocs(renderer))
    app.add_route("/pages/docs/openapi.json", ApiDescription(resize, formats))
    add_tables(app, renderer, node)
    return app


def _add_picture(app: App, renderer: Renderer, node: Node) -> None:
    pictures = Pictures(node.store, node.everywhere)
    actions = Actions(
        node.deletes,
        node.peer_states,
        accepts=node.config.cluster.accept_deletes,
        fetch_socket=socket_path(node.config.node.run, "fetch"),
    )
    app.add_route("/pages/picture", PicturePage(renderer, pictures))
    app.add_route("/pages/picture/file", PictureFile(pictures))
    for name in ACTIONS:
        app.add_route(f"/pages/picture/{name}", PictureAction(renderer, actions, name))


def _nodes(node: Node) -> Nodes:
    status, peers = status_of(node, readiness_of(node)), node.peers
    questions: list[tuple[str, str, Ask]] = [
        (peer.name, peer.url, functools.partial(peers.node_status, peer)) for peer in peers.all
    ]
    return Nodes((node.config.node.name, status.facts), questions, node.peer_states.seen)
