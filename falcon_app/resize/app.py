"""What the resize pool is made of."""

from __future__ import annotations

from pathlib import Path

import falcon

from falcon_app import http_errors
from falcon_app.health import Health
from falcon_app.http_errors import App
from falcon_app.resize.variants import Resize
from image_cloud.config import Config
from image_cloud.node import (
    open_storage,
)
from image_cloud.resize_pool.maker import Maker
from image_cloud.resize_pool.marks import Attempts


def create_resize(config: Config) -> App:
    """Return the pool that decodes: no tokens, no database, no network."""
    store, failures = open_storage(config)
    attempts = Attempts(Path(config.node.run) / "decoding")
    app = falcon.App()
    http_errors.install(app)
    app.add_route("/health", Health())
    app.add_route("/_resize", Resize(Maker(store, failures, attempts, config.resize)))
    return app
