"""The batches of all clients, for the page Prefetch; without the database the page says so."""

from __future__ import annotations

import uuid
from typing import Any

from image_cloud.errors import BadParameter, DatabaseUnavailable
from image_cloud.pages.tables.batches import SHOWN
from image_cloud.pages.tables.patience import Patience
from image_cloud.prefetch.asked import ListRequest, ProgressRequest, Viewer
from image_cloud.prefetch.batches import Batches

ACTIONS = ("cancel", "retry")
Answer = tuple[dict[str, Any] | None, str]
"""What was found, and why nothing was."""


class BatchList:
    """Asks for batches as an operator, and no longer than a page may take."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._patience: Patience[dict[str, Any]] = Patience()

    def newest(self, before: int) -> Answer:
        """Return a page of batches."""
        asked = ListRequest(SHOWN, before)
        try:
            return self._patience.ask(lambda: self._batches.newest(asked, _operator())), ""
        except DatabaseUnavailable as error:
            return None, error.detail

    def one(self, batch: uuid.UUID, after: str) -> Answer:
        """Return one batch and a page of its failures.  Raises BatchUnknown."""
        asked = ProgressRequest(batch, list_failures=True, after=after)
        try:
            return self._patience.ask(lambda: self._batches.progress(asked, _operator())), ""
        except DatabaseUnavailable as error:
            return None, error.detail

    def act(self, action: str, batch: uuid.UUID, client: str) -> None:
        """Cancel or retry for the operator `client`.

        Raises BatchUnknown, DatabaseUnavailable, BadParameter.
        """
        if action not in ACTIONS:
            raise BadParameter(f"action: expected is one of {', '.join(ACTIONS)}")
        do = self._batches.cancel if action == "cancel" else self._batches.retry
        do(batch, _operator(client))


def _operator(client: str = "") -> Viewer:
    return Viewer(client, sees_all=True)
