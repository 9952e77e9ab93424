"""How a command asks a node over HTTP: this one, or with --url any other."""

from __future__ import annotations

import argparse
from typing import Any

import requests

from image_cloud.cli.access import CannotReach, Refused, address, read_config, token_of

TIMEOUT_S = 60.0


class NodeClient:
    """Asks the node at `base` (a URL without a slash at its end) with `token`."""

    def __init__(self, base: str, token: str) -> None:
        self.base = base
        self._token = token
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["X-Image-Cloud-Token"] = token

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> NodeClient:
        """Return a client of --url, else of this node.  Raises ConfigError, CommandError."""
        base = arguments.url_of_node or address(read_config(arguments))
        return cls(base.rstrip("/"), token_of(arguments))

    def of_peer(self, base: str) -> NodeClient:
        """Return a client of another node with the same token."""
        return NodeClient(base.rstrip("/"), self._token)

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
