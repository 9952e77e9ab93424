"""What the control pool is made of."""

from __future__ import annotations

from falcon_app.control.batches import FireAndForget
from falcon_app.control.changes import ChangesAnswer
from falcon_app.control.deletes import DeleteAnswer
from falcon_app.control.explain import ExplainAnswer
from falcon_app.health import Health
from falcon_app.http_errors import App, new_app
from falcon_app.middleware import TokenCheck
from image_cloud.node import Node
from image_cloud.prefetch.intake import Intake
from image_cloud.prefetch.sorter import Sorter


def create_control(node: Node) -> App:
    """Return the pool of what needs the database; `node.listener` works once it is started.

    Apart from the fetch pool: neither slow origins nor a body of 32 MiB hold up the other.
    """
    config = node.config
    sorter = Sorter(node.store, node.origin, node.limits, config.resize)
    sizes = config.resize.thumbnail_sizes
    intake = Intake(sorter, node.database, node.clock, sizes, config.prefetch)
    app = new_app(TokenCheck(node.tokens))
    app.add_route("/fire_and_forget", FireAndForget(intake))
    app.add_route("/_delete", DeleteAnswer(node.deletes))
    app.add_route("/_changes", ChangesAnswer(node.feed_pages))
    app.add_route("/_explain", ExplainAnswer(node.everywhere))
    app.add_route("/health", Health())
    return app
