"""Asks for batches, with patience: a node may be away for a while."""

from __future__ import annotations

import sys
import time
from typing import Any

from image_cloud.cli.access import CannotReach
from image_cloud.cli.node_client import NodeClient, check, problem

PATH = "/fire_and_forget"
POST_TIMEOUT_S, GET_TIMEOUT_S = 180, 30
AWAY_S = 1.0
PASSING = (429, 500, 502, 503, 504)


class BatchClient:
    """Asks for /fire_and_forget; a node that is away for longer than `patience_s` is an error."""

    def __init__(self, client: NodeClient, patience_s: float) -> None:
        self._client = client
        self._patience_s = patience_s
        self._away_since: float | None = None

    def post(self, body: bytes) -> dict[str, Any]:
        """Hand a batch over, again and again until it is safe.  Raises CannotReach, Refused."""
        while True:
            answer = self._ask("POST", POST_TIMEOUT_S, data=body)
            if answer is not None:
                return answer
            time.sleep(AWAY_S)

    def progress(self, batch: str, **more: str) -> dict[str, Any] | None:
        """Return how far `batch` is, None while the node is away.  Raises CannotReach, Refused."""
        return self._ask("GET", GET_TIMEOUT_S, params={"batch": batch, **more})

    def _ask(self, method: str, timeout_s: float, **request: Any) -> dict[str, Any] | None:
        try:
            answer = self._client.ask(method, PATH, timeout_s, **request)
        except CannotReach as error:
            self._is_away(str(error))
            return None
        if answer.status_code in PASSING:
            self._is_away(problem(answer))
            return None
        self._away_since = None
        check(answer)
        content: dict[str, Any] = answer.json()
        return content

    def _is_away(self, why: str) -> None:
        """Say so once; raise CommandError when patience is over."""
        if self._away_since is None:
            self._away_since = time.monotonic()
            print(f"image-cloud: {why}; asking again", file=sys.stderr)
        if time.monotonic() - self._away_since > self._patience_s:
            raise CannotReach(f"{self._client.base} is away for too long: {why}")
