"""What the resize pool is made of."""

from __future__ import annotations

from falcon_app.health import Health
from falcon_app.http_errors import App, new_app
from falcon_app.resize.variants import Resize
from image_cloud.node import Node
from image_cloud.resize.heif import codecs
from image_cloud.resize_pool.maker import Maker


def create_resize(node: Node) -> App:
    """Return the pool that decodes: no tokens, no database, no network."""
    if node.config.resize.worker_memory >= codecs.SHARED_FROM_BYTES:
        codecs.load()
    maker = Maker(node.store, node.failures, node.attempts, node.config.resize)
    app = new_app()
    app.add_route("/health", Health())
    app.add_route("/_resize", Resize(maker))
    return app
