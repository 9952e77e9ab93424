"""What the fetch pool is made of."""

from __future__ import annotations

from falcon_app.fetch.info import InfoAnswer, SimilarTo
from falcon_app.fetch.originals import Fallback, Fetch
from falcon_app.fetch.refresh import RefreshAnswer
from falcon_app.fetch.stored import StoredOriginal
from falcon_app.growing_threads import GrowingThreads
from falcon_app.health import Health
from falcon_app.http_errors import App, new_app
from image_cloud.fetch.fallback import FallbackFetcher
from image_cloud.fetch.fetcher import Fetcher
from image_cloud.fetch.info import InfoFetcher, Infos
from image_cloud.node import Node
from image_cloud.origin.connections import tls_context
from image_cloud.refresh.answer import RefreshAnswers
from image_cloud.refresh.fetching import FreshFetcher
from image_cloud.storage.guard.sending import Sender
from image_cloud.storage.local.copies import Copies

MOST_BEHIND = 16
"""In each process the companions of so many pictures are kept behind their answers; of more, before."""


def create_fetch(node: Node) -> App:
    """Return the pool that downloads; `node.recorder` works once it is started.

    Raises OSError or ssl.SSLError for a CA file that cannot be read.
    """
    tls_context(node.config.download.ca_file)  # so that the workers share it
    copies = Copies(node.local)
    fetcher = Fetcher(node.cache, node.maker, GrowingThreads(MOST_BEHIND).start, copies)
    fresh = FreshFetcher(fetcher, node.refresher)
    placeholder = node.placeholder
    placeholder.publish()
    app = new_app()
    app.add_route("/health", Health())
    for address in ("/_fetch", "/_variant"):  # nginx has a queue for each
        app.add_route(address, Fetch(FallbackFetcher(fresh, placeholder)))
    infos = InfoFetcher(fresh, Infos(node.store, node.facts), node.recorder.add)
    for address in ("/_info", "/_info_here"):
        app.add_route(address, InfoAnswer(infos))
    app.add_route("/_similar_to", SimilarTo(infos))
    app.add_route("/_original/{ab}/{cd}/{name}", StoredOriginal(Sender(node.store, copies)))
    app.add_route("/_fallback", Fallback(placeholder))
    app.add_route("/_refresh", RefreshAnswer(RefreshAnswers(node.refresher, node.store)))
    return app
