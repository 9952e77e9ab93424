"""The WSGI application of this process's pool.  gunicorn's settings and this alone read the environment."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from types import ModuleType

from falcon_app.http_errors import App
from image_cloud.config import config_from_environment
from image_cloud.node import Node

_endings: list[Callable[[], None]] = []


def create_app() -> App:
    """Return the application of the pool that IMAGE_CLOUD_POOL names: front, fetch, intake or resize.

    Call it after gunicorn has forked: the pool's threads start here.
    """
    pool, node = os.environ["IMAGE_CLOUD_POOL"], Node(config_from_environment())
    app: App = getattr(module_of(pool), f"create_{pool}")(node)
    if pool == "fetch":
        node.recorder.start()
        node.listener.start()
        _endings.append(node.recorder.stop)
    return app


def end() -> None:
    """Finish what the pool's threads have begun, when its worker ends in order."""
    for stop in _endings:
        stop()


def module_of(pool: str) -> ModuleType:
    """Import what `pool` is made of, and nothing of the other pools."""
    return importlib.import_module(f"falcon_app.{pool}.app")
