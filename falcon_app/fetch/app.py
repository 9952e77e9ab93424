"""What the fetch pool is made of."""

from __future__ import annotations

import falcon

from falcon_app import http_errors
from falcon_app.fetch.changes import ChangesAnswer
from falcon_app.fetch.deletes import DeleteAnswer
from falcon_app.fetch.originals import Fetch
from falcon_app.health import Health
from falcon_app.http_errors import App
from image_cloud.cluster.feed_page import FeedPages, Self
from image_cloud.config import Config
from image_cloud.db.connect import Database
from image_cloud.db.listen import Listener
from image_cloud.fetch.fetcher import Fetcher
from image_cloud.node import (
    open_cache,
    open_clock,
    open_deletes,
    open_freshness,
    open_guard,
    open_resize_pool,
    open_storage,
)


def create_fetch(config: Config) -> App:
    """Return the pool that downloads."""
    _, failures = open_storage(config)
    cache = open_cache(config)
    resize_pool = open_resize_pool(config)
    app = falcon.App()
    http_errors.install(app)
    app.add_route("/health", Health())
    app.add_route("/_fetch", Fetch(Fetcher(cache, failures, resize_pool)))
    app.add_route("/_delete", DeleteAnswer(open_deletes(config)))
    app.add_route("/_changes", ChangesAnswer(_feed_pages(config)))
    return app


def _feed_pages(config: Config) -> FeedPages:
    database, listener = Database(config.database), Listener(config.database)
    own = Self(config.node.name, config.cluster.accept_deletes)
    guard, clock, freshness = open_guard(config), open_clock(config), open_freshness(config)
    return FeedPages(database, listener, guard, clock, freshness, own)
