"""The WSGI application of each pool.  Only the pools' `app` modules read the configuration."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

from falcon_app.http_errors import App
from image_cloud.config import Config, config_from_environment


def create_app(pool: str | None = None, config: Config | None = None) -> App:
    """Return the WSGI application of `pool` (front, fetch, intake or resize).

    Without arguments both come from the environment: IMAGE_CLOUD_POOL and IMAGE_CLOUD_CONFIG.
    Call it after gunicorn has forked: threads and connections start here.
    """
    config = config or config_from_environment()
    pool = pool or os.environ["IMAGE_CLOUD_POOL"]
    app: App = getattr(module_of(pool), f"create_{pool}")(config)
    return app


def module_of(pool: str) -> ModuleType:
    """Import what `pool` is made of, and nothing of the other pools."""
    return importlib.import_module(f"falcon_app.{pool}.app")
