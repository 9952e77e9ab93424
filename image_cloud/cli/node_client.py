"""How a command asks a node over HTTP: this one, or with --url any other; for batches with patience."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import requests

from image_cloud.cli.access import CannotReach, Refused, address, read_config, token_of

TIMEOUT_S = 60.0
POST_TIMEOUT_S, GET_TIMEOUT_S = 180, 30
AWAY_S = 1.0
PASSING = (429, 500, 502, 503, 504)


class NodeClient:
    """Asks the node at `base` (a URL without a slash at its end) with `token`."""

    def __init__(self, base: str, token: str) -> None:
        self.base = base
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["X-Image-Cloud-Token"] = token

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> NodeClient:
        """Return a client of --url, else of this node.  Raises ConfigError, CommandError."""
        base = arguments.url_of_node or address(read_config(arguments))
        return cls(base.rstrip("/"), token_of(arguments))

    def ask(
        self, method: str, path: str, timeout_s: float = TIMEOUT_S, **request: Any
    ) -> requests.Response:
        """Return the answer, whatever its status.  Raises CannotReach."""
        try:
            return self._session.request(method, self.base + path, timeout=timeout_s, **request)
        except requests.RequestException as error:
            raise CannotReach(f"{self.base} does not answer: {_reason(error)}") from None

    def get(self, path: str, timeout_s: float = TIMEOUT_S, **query: Any) -> Any:
        """Return the JSON at `path`.  Raises CannotReach, Refused."""
        return self.json("GET", path, timeout_s, **query)

    def json(self, method: str, path: str, timeout_s: float = TIMEOUT_S, **query: Any) -> Any:
        """Return the JSON of an answer.  Raises CannotReach, Refused."""
        answer = self.ask(method, path, timeout_s, params=query)
        check(answer)
        try:
            return answer.json()
        except ValueError:
            raise CannotReach(f"{self.base}{path} is no Image Cloud: it sent no JSON") from None


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
            answer = self._client.ask(method, "/fire_and_forget", timeout_s, **request)
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


def check(answer: requests.Response) -> None:
    """Raise Refused with the problem that an answer tells of, unless all is well."""
    if not answer.ok:
        raise Refused(problem(answer))


def problem(answer: requests.Response) -> str:
    """Return a problem document as one line."""
    try:
        body = answer.json()
        return f"{body['status']} {body['code']}: {body['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.reason}"


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "it takes too long"
    return "the connection failed" if isinstance(error, requests.ConnectionError) else str(error)
