"""/fire_and_forget as a command asks it: a node that is away is asked again."""

from __future__ import annotations

import sys
import time
from typing import Any

import requests

from image_cloud.cli.access import CommandError
from image_cloud.cli.pictures import problem

POST_TIMEOUT_S, GET_TIMEOUT_S = 180, 30
AWAY_S = 1.0
PASSING = (429, 500, 502, 503, 504)


class BatchClient:
    """Asks the node at `base`; one that is away for longer than `patience_s` is an error."""

    def __init__(self, base: str, token: str, patience_s: float) -> None:
        self._patience_s = patience_s
        self._away_since: float | None = None
        self._address = f"{base}/fire_and_forget"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["X-Image-Cloud-Token"] = token

    def post(self, body: bytes) -> dict[str, Any]:
        """Hand a batch over, again and again until it is safe.  Raises CommandError."""
        while True:
            answer = self._ask("POST", POST_TIMEOUT_S, data=body)
            if answer is not None:
                return answer
            time.sleep(AWAY_S)

    def progress(self, batch: str, **more: str) -> dict[str, Any] | None:
        """Return how far `batch` is, None while the node is away.  Raises CommandError."""
        return self._ask("GET", GET_TIMEOUT_S, params={"batch": batch, **more})

    def _ask(self, method: str, timeout_s: float, **request: Any) -> dict[str, Any] | None:
        try:
            answer = self._session.request(method, self._address, timeout=timeout_s, **request)
        except (requests.ConnectionError, requests.Timeout):
            self._is_away("no answer")
            return None
        if answer.status_code in PASSING:
            self._is_away(problem(answer))
            return None
        self._away_since = None
        if not answer.ok:
            raise CommandError(problem(answer))
        content: dict[str, Any] = answer.json()
        return content

    def _is_away(self, why: str) -> None:
        """Say so once; raise CommandError when patience is over."""
        if self._away_since is None:
            self._away_since = time.monotonic()
            print(f"image-cloud: {self._address}: {why}; asking again", file=sys.stderr)
        if time.monotonic() - self._away_since > self._patience_s:
            raise CommandError(f"{self._address} is away for too long: {why}")
