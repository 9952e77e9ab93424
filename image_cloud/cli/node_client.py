"""How a command asks a node over HTTP: this one, or with --url any other."""

from __future__ import annotations

import argparse
import os
from typing import Any

import requests

from image_cloud.cli.access import (
    CannotReach,
    CommandError,
    Refused,
    address,
    read_config,
    token_of,
)
from image_cloud.config import Config

TIMEOUT_S = 60.0
# The node's database, or a pool of it: as good as the node itself.
AWAY = ("503 database_unavailable", "503 unavailable")


def add_options(command: argparse.ArgumentParser) -> None:
    """Let a command that only asks over HTTP take --url and --token-file behind its name, too."""
    command.add_argument(
        "--url", dest="url_of_node", metavar="URL", default=argparse.SUPPRESS,
        help="of the node to ask; default: $IMAGE_CLOUD_URL, or this machine's node",
    )  # fmt: skip
    command.add_argument(
        "--token-file", metavar="FILE", default=argparse.SUPPRESS, help="the token to ask with"
    )


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
        base = arguments.url_of_node or os.environ.get("IMAGE_CLOUD_URL") or _own(arguments)
        if not base.startswith(("http://", "https://")):
            raise CommandError(
                f"--url: {base!r} came; expected is an address like http://ic00:5000"
            )
        return cls(base.rstrip("/"), token_of(arguments))

    def of_peer(self, base: str) -> NodeClient:
        """Return a client of another node with the same token."""
        return NodeClient(base.rstrip("/"), self._token)

    def ask(
        self, method: str, path: str, timeout_s: float = TIMEOUT_S, **request: Any
    ) -> requests.Response:
        """Return the answer, whatever its status; the token goes nowhere else.  Raises CannotReach."""
        try:
            return self._session.request(
                method, self.base + path, timeout=timeout_s, allow_redirects=False, **request
            )
        except requests.RequestException as error:
            raise CannotReach(
                f"{self.base} does not answer: {_reason(error)}; `supervisorctl status` there says what "
                "runs, --url asks another node"
            ) from None

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


def _own(arguments: argparse.Namespace) -> str:
    """Return this machine's node; the usual address for who may not read the ini, as it has passwords."""
    try:
        return address(read_config(arguments))
    except PermissionError:
        return address(Config())


def check(answer: requests.Response) -> None:
    """Raise Refused with the problem that an answer tells of, CannotReach where it says `away`."""
    if not answer.ok or answer.is_redirect:
        said = problem(answer)
        raise (CannotReach if said.startswith(AWAY) else Refused)(said)


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
