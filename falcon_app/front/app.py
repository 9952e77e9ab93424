"""What the front pool is made of."""

from __future__ import annotations

from pathlib import Path

import falcon

from falcon_app import http_errors
from falcon_app.front.changes import Changes
from falcon_app.front.clouds import AlternativeClouds
from falcon_app.front.decoder_death import DecoderDeath
from falcon_app.front.deletes import DeleteImage, DeleteImageByGet
from falcon_app.front.images import GetImage, GetThumbnail
from falcon_app.front.metrics import Metrics
from falcon_app.health import Health, Ready
from falcon_app.http_errors import App
from falcon_app.middleware import TokenCheck
from image_cloud.cluster.peer_states import PeerStates, path_of
from image_cloud.config import Config
from image_cloud.db.connect import Database
from image_cloud.fetch.finder import Finder
from image_cloud.node import (
    open_domains,
    open_freshness,
    open_peers,
    open_storage,
)
from image_cloud.request.tokens import TokenStore
from image_cloud.resize.writable import writable_formats
from image_cloud.resize_pool.marks import Attempts
from image_cloud.resize_pool.no_answer import NoAnswer
from image_cloud.supervision.metrics import NodeMetrics
from image_cloud.supervision.readiness import Readiness


def create_front(config: Config) -> App:
    """Return the pool that checks tokens and parameters and looks at the disk."""
    store, failures = open_storage(config)
    if open_peers(config).all:
        open_freshness(config).ensure()
    finder = Finder(store, failures)
    attempts = Attempts(Path(config.node.run) / "decoding")
    thumbnail = GetThumbnail(finder, config.resize)
    database = Database(config.database)
    readiness = Readiness(store.space, database)
    run_folder = Path(config.node.run)
    metrics = NodeMetrics(
        readiness, store.root, run_folder, attempts, config.pools, open_domains(config), database
    )
    app = falcon.App(middleware=[TokenCheck(TokenStore(Path(config.tokens.file)))])
    http_errors.install(app)
    app.add_route("/get_image", GetImage(finder, config.resize, writable_formats()))
    app.add_route("/get_thumbnail", thumbnail)
    app.add_route("/iproxy.php", thumbnail)
    app.add_route("/health", Health())
    app.add_route("/ready", Ready(config.node.name, readiness))
    app.add_route("/metrics", Metrics(metrics))
    app.add_route("/_no_resize", DecoderDeath(NoAnswer(attempts, failures)))
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
