"""Pictures of which their origin says that there are none any more."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from image_cloud.cluster.brake import Brake
from image_cloud.cluster.deletes import Deletes
from image_cloud.config.sections import Refresh as Settings
from image_cloud.errors import OriginNotFound
from image_cloud.picture.url import Url
from image_cloud.storage.failures import Failures
from image_cloud.storage.local.checks import Checks

log = logging.getLogger(__name__)


class GonePictures:
    """Counts in `checks` how often that was said, and deletes them where the ini says so.

    A delete here goes to every node through the feed, whether or not this one takes /delete_image: that
    the picture is gone is the same for all.  `brake` stops too many of them, under this node's `name`.
    """

    def __init__(
        self,
        checks: Checks,
        failures: Failures,
        deletes: Deletes,
        brake: Brake,
        name: str,
        settings: Settings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._checks = checks
        self._failures = failures
        self._deletes = deletes
        self._brake = brake
        self._name = name
        self._settings = settings
        self._clock = clock

    def count(self, url: Url, error: OriginNotFound) -> int:
        """Count one more check that found nothing; return how many it were in a row."""
        gone = self._checks.count_gone(url.key, error.upstream_status, self._clock())
        if gone.count >= self._settings.gone_after:
            log.warning("event=gone key=%s checks=%d", url.key, gone.count)
            if self._settings.delete_gone and self._brake.passes(self._name, 1):
                self._delete(url, error)
        return gone.count

    def _delete(self, url: Url, error: OriginNotFound) -> None:
        self._deletes.delete(url)
        self._failures.remember(url.key, error)  # so that nobody asks for it right away
