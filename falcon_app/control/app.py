"""What the control pool is made of."""

from __future__ import annotations

from falcon_app.control.batches import FireAndForget
from falcon_app.control.changes import ChangesAnswer
from falcon_app.control.deletes import DeleteAnswer
from falcon_app.control.explain import ExplainAnswer
from falcon_app.control.history import HistoryAnswer
from falcon_app.control.metrics import MetricsAnswer
from falcon_app.control.node_status import NodeStatusAnswer
from falcon_app.control.old_pictures import OldPicturesSent
from falcon_app.control.originals import Originals
from falcon_app.control.similar import SimilarAnswer
from falcon_app.health import Health
from falcon_app.http_errors import App, new_app
from falcon_app.middleware import TokenCheck
from image_cloud.history.windows import History
from image_cloud.node import Node
from image_cloud.politeness.overview import Overview
from image_cloud.prefetch.intake import Intake
from image_cloud.prefetch.sorter import Sorter
from image_cloud.supervision.metrics import node as node_metrics
from image_cloud.supervision.metrics.node import NodeMetrics
from image_cloud.supervision.node_status import readiness_of, status_of
from image_cloud.supervision.readiness import Readiness


def create_control(node: Node) -> App:
    """Return the pool of what needs the database; `node.listener` works once it is started.

    Apart from the fetch pool: neither slow origins nor a body of 32 MiB hold up the other.
    """
    config = node.config
    sorter = Sorter(node.store, node.origin, node.limits, config.resize, config.refresh.least_age)
    sizes = config.resize.thumbnail_sizes
    intake = Intake(sorter, node.origin, node.database, node.clock, sizes, config.prefetch)
    app = new_app(TokenCheck(node.tokens))
    app.add_route("/fire_and_forget", FireAndForget(intake, node.batches))
    app.add_route("/_delete", DeleteAnswer(node.deletes))
    app.add_route("/_changes", ChangesAnswer(node.feed_pages))
    app.add_route("/originals", Originals(node.store))
    app.add_route("/_old", OldPicturesSent(node.old_pictures))
    app.add_route("/_explain", ExplainAnswer(node.everywhere))
    app.add_route("/_similar", SimilarAnswer(node.similar))
    app.add_route("/_history", HistoryAnswer(History(config.node.name, node.history)))
    readiness = readiness_of(node)
    app.add_route("/_node_status", NodeStatusAnswer(status_of(node, readiness)))
    app.add_route("/_metrics", MetricsAnswer(_metrics(node, readiness)))
    app.add_route("/health", Health())
    return app


def _metrics(node: Node, readiness: Readiness) -> NodeMetrics:
    return NodeMetrics(
        node_metrics.Parts(
            storage=node.storage,
            guard=node.storage_guard,
            run=node.run,
            readiness=readiness,
            decoder=node.decoder,
            pools=node.config.pools,
            domains=Overview(node.gate),
            peers=node.peer_states,
        )
    )
