"""`fallback=true`: another picture in place of one that cannot be had, instead of an error."""

from __future__ import annotations

import logging
from typing import Protocol

from image_cloud.errors import (
    BadParameter,
    ImageCloudError,
    ScopeMissing,
    TokenMissing,
    TokenUnknown,
    TooManyAttempts,
)
from image_cloud.fetch.finder import Finder
from image_cloud.fetch.placeholder import Placeholder
from image_cloud.request.internal import FallbackRequest, FetchRequest
from image_cloud.request.params import ImageParameters, ThumbnailParameters
from image_cloud.request.query import Query
from image_cloud.request.steps import Step

log = logging.getLogger(__name__)

NEVER = (BadParameter, TokenMissing, TokenUnknown, ScopeMissing, TooManyAttempts)
"""What the client itself has to mend: no picture hides that."""


class Fetching(Protocol):
    """What has originals fetched."""

    def fetch(self, asked: FetchRequest) -> Step:
        """Return what to do with the original."""


def find(finder: Finder, table: ImageParameters | ThumbnailParameters, query: Query) -> Step:
    """Return what `finder` does for a query, or that the client gets another picture."""
    try:
        return finder.find(table.read(query))
    except NEVER:
        raise
    except ImageCloudError as error:
        if not table.wants_fallback(query):
            raise
        log.info("event=fallback code=%s", error.code)
        return FallbackRequest(table.recipe(query))


class FallbackFetcher:
    """Does what `fetcher` does, or gives `placeholder` to clients that want it."""

    def __init__(self, fetcher: Fetching, placeholder: Placeholder) -> None:
        self._fetcher = fetcher
        self._placeholder = placeholder

    def fetch(self, asked: FetchRequest) -> Step:
        """Return what to do with the original.  Raises what loading and resizing it raise."""
        try:
            return self._fetcher.fetch(asked)
        except NEVER:
            raise
        except ImageCloudError as error:
            if not asked.fallback:
                raise
            log.info("event=fallback code=%s", error.code)
            return self._placeholder.step(asked.recipe)
