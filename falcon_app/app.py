"""The WSGI application of this process's pool.  gunicorn's settings and this alone read the environment.

gunicorn's master makes the application, and its workers share that memory.  So making it opens nothing and
starts no thread: `start` does, in each worker.
"""

from __future__ import annotations

import functools
import importlib
import os
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

from falcon_app.http_errors import App
from image_cloud.config import Config, config_from_environment
from image_cloud.fetch.placeholder import fallback_problems
from image_cloud.node import Node
from image_cloud.request.params import thumbnail_recipe
from image_cloud.request.writable import format_problems

STORING_S = 10.0  # for originals that are on their way when the pool ends
FOR_PAGES = "HTTP_X_IMAGE_CLOUD_PAGES"  # in the WSGI environment


@functools.cache
def configuration() -> Config:
    """Return the configuration as it was when the master started."""
    return config_from_environment([format_problems, fallback_problems])


@functools.cache
def node() -> Node:
    """Return what this process's pool is made of."""
    return Node(configuration())


def create_app() -> Any:
    """Return the application of the pool that IMAGE_CLOUD_POOL names: front, fetch or control.

    The control pool serves the operator's pages, too: an app of their own, as people log in to them.
    """
    pool = os.environ["IMAGE_CLOUD_POOL"]
    app = create(pool)
    return app if pool != "control" else Beside(functools.partial(create, "pages"), app)


def create(part: str) -> App:
    """Return the app of a pool, or of the pages."""
    app: App = getattr(module_of(part), f"create_{part}")(node())
    return app


class Beside:
    """WSGI: the pages answer what nginx sends as theirs (nginx/snippets/to_pages.conf), `others` the rest.

    `create_pages` makes them when somebody first opens one: their templates and tables take 5 MB.
    """

    def __init__(self, create_pages: Callable[[], App], others: App) -> None:
        self._create_pages = create_pages
        self._others = others
        self._pages: App | None = None
        self._mutex = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer one request."""
        app = self._made() if FOR_PAGES in environ else self._others
        return app(environ, start_response)

    def _made(self) -> App:
        with self._mutex:
            if self._pages is None:
                self._pages = self._create_pages()
            return self._pages


def start() -> None:
    """Start the pool's threads, in a worker."""
    pool = os.environ["IMAGE_CLOUD_POOL"]
    if pool == "fetch":
        node().recorder.start()
        if way := node().on_the_way:
            way.remove_lost()
        _warm(node())
    elif pool == "control":
        node().listener.start()


def _warm(ready: Node) -> None:
    """Have the picture that is sent in place of others made in the sizes of thumbnails."""
    resize = ready.config.resize
    recipes = [thumbnail_recipe(size, resize) for size in resize.thumbnail_sizes]
    threading.Thread(target=ready.placeholder.warm, args=(recipes,), daemon=True).start()


def end() -> None:
    """Finish what the pool's threads have begun, when its worker ends in order."""
    if os.environ["IMAGE_CLOUD_POOL"] == "fetch":
        if way := node().on_the_way:
            way.finish(STORING_S)
        node().recorder.stop()
        node().unstored.clear()


def module_of(pool: str) -> ModuleType:
    """Import what `pool`, or `pages`, is made of, and nothing of the other pools."""
    return importlib.import_module(f"falcon_app.{pool}.app")
