"""Counts the warnings and errors in this process's log by their event."""

from __future__ import annotations

import logging
import re

from image_cloud.metrics.definitions import LOG_EVENTS
from image_cloud.metrics.requests import Bounded

MOST_EVENTS = 100
_EVENT = re.compile(r"event=([a-z_]{1,40})\b")
_OWN = "image_cloud.metrics"


class EventCounter(logging.Handler):
    """Counts records from WARNING up.  Counting that fails is logged, and that is not counted."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._events = Bounded(MOST_EVENTS)

    def emit(self, record: logging.LogRecord) -> None:
        """Count one record of our own form."""
        try:
            match = _EVENT.match(record.getMessage())
        except (TypeError, ValueError):  # logging itself reports it
            return
        if match and not record.name.startswith(_OWN):
            LOG_EVENTS.add(self._events.name(match[1]))


def count_events() -> None:
    """Count from now on; after logging was set up."""
    logging.getLogger().addHandler(EventCounter())
