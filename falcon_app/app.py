"""Wiring: what each pool is made of.  Only this module reads the configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import falcon

from falcon_app import http_errors
from falcon_app.changes import Changes, ChangesAnswer, Self
from falcon_app.clouds import AlternativeClouds
from falcon_app.decoder_death import DecoderDeath
from falcon_app.deletes import DeleteAnswer, DeleteImage, DeleteImageByGet
from falcon_app.fetch import Fetch
from falcon_app.health import Health, Ready
from falcon_app.images import Finder, GetImage, GetThumbnail
from falcon_app.metrics import Metrics
from falcon_app.middleware import TokenCheck
from falcon_app.prefetch import Prefetch, Sorter
from falcon_app.resize_client import ResizeClient
from image_cloud.attempts import Attempts
from image_cloud.config import Config, config_from_environment
from image_cloud.db.connect import Database
from image_cloud.db.listen import Listener
from image_cloud.origin import Origin
from image_cloud.peer_states import PeerStates, path_of
from image_cloud.sockets import socket_path
from image_cloud.tokens import TokenStore
from image_cloud.wiring import (
    open_cache,
    open_clock,
    open_deletes,
    open_domains,
    open_freshness,
    open_guard,
    open_limits,
    open_peers,
    open_storage,
)

App = falcon.App[Any, Any]


def create_app(pool: str | None = None, config: Config | None = None) -> App:
    """Return the WSGI application of `pool` (front, fetch, intake or resize).

    Without arguments both come from the environment: IMAGE_CLOUD_POOL and IMAGE_CLOUD_CONFIG.
    Call it after gunicorn has forked: threads and connections start here.
    """
    config = config or config_from_environment()
    creators = {
        "front": create_front,
        "fetch": create_fetch,
        "intake": create_intake,
        "resize": create_resize,
    }
    return creators[pool or os.environ["IMAGE_CLOUD_POOL"]](config)


def create_front(config: Config) -> App:
    """Return the pool that checks tokens and parameters and looks at the disk."""
    from image_cloud.codecs import writable_formats

    store, failures = open_storage(config)
    if open_peers(config).all:
        open_freshness(config).ensure()
    finder = Finder(store, failures)
    attempts = Attempts(Path(config.node.run) / "decoding")
    thumbnail = GetThumbnail(finder, config.resize)
    database = Database(config.database)
    ready = Ready(config.node.name, store, database)
    run_folder = Path(config.node.run)
    metrics = Metrics(ready, store.root, run_folder, config.pools, open_domains(config), database)
    app = falcon.App(middleware=[TokenCheck(TokenStore(Path(config.tokens.file)))])
    http_errors.install(app)
    app.add_route("/get_image", GetImage(finder, config.resize, writable_formats()))
    app.add_route("/get_thumbnail", thumbnail)
    app.add_route("/iproxy.php", thumbnail)
    app.add_route("/health", Health())
    app.add_route("/ready", ready)
    app.add_route("/metrics", metrics)
    app.add_route("/_no_resize", DecoderDeath(attempts, failures))
    _add_cluster(app, config)
    return app


def _add_cluster(app: App, config: Config) -> None:
    node, cluster = config.node.name, config.cluster
    states = PeerStates(path_of(config.storage.path, node))
    others = [peer for peer in cluster.peers if peer.name != node]
    deleting = DeleteImageByGet if cluster.legacy_get_delete else DeleteImage
    app.add_route("/delete_image", deleting(accepts=cluster.accept_deletes, peers=states))
    app.add_route("/changes", Changes())
    app.add_route("/alternative_clouds", AlternativeClouds(node, others, states))


def create_fetch(config: Config) -> App:
    """Return the pool that downloads."""
    _, failures = open_storage(config)
    cache = open_cache(config)
    timeout_s = config.resize.decode_timeout + config.download.total_timeout
    resizer = ResizeClient(socket_path(config.node.run, "resize"), timeout_s)
    app = falcon.App()
    http_errors.install(app)
    app.add_route("/health", Health())
    app.add_route("/_fetch", Fetch(cache, failures, resizer))
    app.add_route("/_delete", DeleteAnswer(open_deletes(config)))
    app.add_route("/_changes", _changes_answer(config))
    return app


def _changes_answer(config: Config) -> ChangesAnswer:
    database, listener = Database(config.database), Listener(config.database)
    own = Self(config.node.name, config.cluster.accept_deletes)
    guard, clock, freshness = open_guard(config), open_clock(config), open_freshness(config)
    return ChangesAnswer(database, listener, guard, clock, freshness, own)


def create_intake(config: Config) -> App:
    """Return the pool that takes batches: apart, as a body of 32 MiB keeps a process busy."""
    store, _ = open_storage(config)
    sorter = Sorter(store, Origin(config.download), open_limits(config), config.resize)
    database = Database(config.database)
    app = falcon.App(middleware=[TokenCheck(TokenStore(Path(config.tokens.file)))])
    http_errors.install(app)
    prefetch = Prefetch(sorter, database, open_clock(config), config.resize, config.prefetch)
    app.add_route("/fire_and_forget", prefetch)
    app.add_route("/health", Health())
    return app


def create_resize(config: Config) -> App:
    """Return the pool that decodes: no tokens, no database, no network."""
    from falcon_app.resize import Resize

    store, failures = open_storage(config)
    attempts = Attempts(Path(config.node.run) / "decoding")
    app = falcon.App()
    http_errors.install(app)
    app.add_route("/health", Health())
    app.add_route("/_resize", Resize(store, failures, attempts, config.resize))
    return app
