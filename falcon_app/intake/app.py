"""What the intake pool is made of."""

from __future__ import annotations

from pathlib import Path

import falcon

from falcon_app import http_errors
from falcon_app.health import Health
from falcon_app.http_errors import App
from falcon_app.intake.batches import FireAndForget
from falcon_app.middleware import TokenCheck
from image_cloud.config import Config
from image_cloud.db.connect import Database
from image_cloud.node import (
    open_clock,
    open_limits,
    open_storage,
)
from image_cloud.origin import Origin
from image_cloud.prefetch.intake import Intake
from image_cloud.prefetch.sorter import Sorter
from image_cloud.request.tokens import TokenStore


def create_intake(config: Config) -> App:
    """Return the pool that takes batches: apart, as a body of 32 MiB keeps a process busy."""
    store, _ = open_storage(config)
    sorter = Sorter(store, Origin(config.download), open_limits(config), config.resize)
    database = Database(config.database)
    app = falcon.App(middleware=[TokenCheck(TokenStore(Path(config.tokens.file)))])
    http_errors.install(app)
    sizes = config.resize.thumbnail_sizes
    intake = Intake(sorter, database, open_clock(config), sizes, config.prefetch)
    app.add_route("/fire_and_forget", FireAndForget(intake))
    app.add_route("/health", Health())
    return app
