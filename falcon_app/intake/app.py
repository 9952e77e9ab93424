"""What the intake pool is made of."""

from __future__ import annotations

import falcon

from falcon_app import http_errors
from falcon_app.health import Health
from falcon_app.http_errors import App
from falcon_app.intake.batches import FireAndForget
from falcon_app.middleware import TokenCheck
from image_cloud.node import Node
from image_cloud.prefetch.intake import Intake
from image_cloud.prefetch.sorter import Sorter


def create_intake(node: Node) -> App:
    """Return the pool that takes batches: apart, as a body of 32 MiB keeps a process busy."""
    config = node.config
    sorter = Sorter(node.store, node.origin, node.limits, config.resize)
    sizes = config.resize.thumbnail_sizes
    intake = Intake(sorter, node.database, node.clock, sizes, config.prefetch)
    app = falcon.App(middleware=[TokenCheck(node.tokens)])
    http_errors.install(app)
    app.add_route("/fire_and_forget", FireAndForget(intake))
    app.add_route("/health", Health())
    return app
