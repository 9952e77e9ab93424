"""What the front pool is made of."""

from __future__ import annotations

from falcon_app.front.admission import BATCH_SENDERS, PEERS, Admission, NotAdmitted
from falcon_app.front.changes import Changes
from falcon_app.front.clouds import AlternativeClouds
from falcon_app.front.deletes import DeleteImage, DeleteImageByGet
from falcon_app.front.description import Description
from falcon_app.front.domains import PausedDomains, ResumeDomain
from falcon_app.front.explain import Explain
from falcon_app.front.history import HistoryAsked
from falcon_app.front.images import GetImage, GetThumbnail, Varying
from falcon_app.front.info import ImageInfo, SimilarPictures
from falcon_app.front.metrics import MetricsRequest
from falcon_app.front.node_status import NodeStatusRequest
from falcon_app.front.refresh import RefreshImage
from falcon_app.health import Health, Ready
from falcon_app.http_errors import App, new_app
from falcon_app.middleware import TokenCheck
from image_cloud.fetch.finder import Finder
from image_cloud.fetch.info import InfoFinder, Infos
from image_cloud.node import Node
from image_cloud.politeness.overview import Overview
from image_cloud.process.sockets import SERVERS
from image_cloud.request.params import ImageParameters, ThumbnailParameters
from image_cloud.request.writable import writable_formats
from image_cloud.supervision.readiness import Readiness, pool_checks


def create_front(node: Node) -> App:
    """Return the pool that checks tokens and parameters and looks at the disk."""
    if node.peers.all:
        node.freshness.ensure()
    formats = writable_formats()
    finder = Finder(node.store, node.failures, node.config.refresh.least_age)
    image = ImageParameters(node.config.resize, formats)
    small = ThumbnailParameters(node.config.resize)
    thumbnail = GetThumbnail(finder, small)
    pools = pool_checks(node.config.node.run, SERVERS)
    readiness = Readiness(node.store.space, node.database, pools, node.variants_check)
    varying = Varying({"/get_image": image, "/get_thumbnail": small, "/iproxy.php": small})
    app = new_app(varying, TokenCheck(node.tokens))
    app.add_route("/get_image", GetImage(finder, image))
    app.add_route("/get_thumbnail", thumbnail)
    app.add_route("/iproxy.php", thumbnail)
    infos = InfoFinder(finder, Infos(node.store, node.facts))
    app.add_route("/image_info", ImageInfo(infos))
    app.add_route("/similar", SimilarPictures(infos))
    app.add_route("/_admission", Admission(BATCH_SENDERS))
    app.add_route("/fire_and_forget", NotAdmitted(BATCH_SENDERS))
    app.add_route("/_peer_admission", Admission(PEERS))
    app.add_route("/originals", NotAdmitted(PEERS))
    app.add_route("/health", Health())
    app.add_route("/ready", Ready(node.config.node.name, readiness))
    app.add_route("/openapi.json", Description(node.config.resize, formats))
    app.add_route("/metrics", MetricsRequest())
    overview = Overview(node.gate)
    app.add_route("/domains", PausedDomains(overview))
    app.add_route("/domains/resume", ResumeDomain(overview))
    _add_cluster(app, node)
    return app


def _add_cluster(app: App, node: Node) -> None:
    own, cluster, states = node.config.node.name, node.config.cluster, node.peer_states
    others = [peer for peer in cluster.peers if peer.name != own]
    deleting = DeleteImageByGet if cluster.legacy_get_delete else DeleteImage
    app.add_route("/delete_image", deleting(accepts=cluster.accept_deletes, peers=states))
    app.add_route("/refresh_image", RefreshImage())
    app.add_route("/explain", Explain())
    app.add_route("/node_status", NodeStatusRequest())
    app.add_route("/history", HistoryAsked())
    app.add_route("/changes", Changes())
    app.add_route("/alternative_clouds", AlternativeClouds(own, others, states))
