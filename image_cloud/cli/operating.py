"""`image-cloud health` and `image-cloud rollout`: the steps of an upgrade on a node."""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from image_cloud.cli.access import CannotReach, CommandError, address, read_config, token_of
from image_cloud.cli.node_client import problem
from image_cloud.config import Config
from image_cloud.host.rollout import ANSWER_S, Rollout
from image_cloud.node_files.errors import CannotStart
from image_cloud.process.sockets import SERVERS, socket_path
from image_cloud.process.unix_get import answers
from image_cloud.supervision.programs import connect

TIMEOUT_S, POLL_S = 30.0, 0.5
SAMPLE = "badge.png"
# Small variants that are unlikely to be stored: the decoder has to make them.
SIDES, QUALITIES = (16, 64), (1, 95)


class Unhealthy(Exception):
    """The node does not serve as it should; the text is one line."""


def add_commands(commands: Any) -> None:
    """Add `health` and `rollout`."""
    health = commands.add_parser("health", help="ask this node for a real thumbnail, through nginx")
    health.add_argument("--url", help="of this picture; default: one of the node's own samples")
    health.add_argument(
        "--wait", type=float, default=0.0, metavar="SECONDS", help="go on trying for so long"
    )
    health.add_argument("--json", action="store_true", help="as JSON")
    health.set_defaults(run=run_health)
    rollout = commands.add_parser(
        "rollout", help="restart pools and daemons one after the other, without losing a request"
    )
    rollout.add_argument("--json", action="store_true", help="as JSON")
    rollout.set_defaults(run=run_rollout)


def run_health(arguments: argparse.Namespace) -> int:
    """Print one line; 1 where the node is not well."""
    config = read_config(arguments)
    url = arguments.url or _sample(config)
    began = time.monotonic()
    while True:
        try:
            return _told(arguments, config, check(config, token_of(arguments), url), is_well=True)
        except (Unhealthy, requests.RequestException) as error:
            if time.monotonic() - began >= arguments.wait:
                return _told(arguments, config, str(error), is_well=False)
        time.sleep(POLL_S)


def _told(arguments: argparse.Namespace, config: Config, detail: str, *, is_well: bool) -> int:
    """Print how it is; return the exit status."""
    name = config.node.name
    if arguments.json:
        print(json.dumps({"node": name, "is_well": is_well, "detail": detail}, indent=2))
    elif is_well:
        print(f"{name} is well: {detail}")
    else:
        print(f"{name} is not well: {detail}", file=sys.stderr)
    return 0 if is_well else 1


def check(config: Config, token: str, url: str) -> str:
    """Return how well the node is.  Raises Unhealthy, requests.RequestException."""
    with requests.Session() as session:
        session.headers["X-Image-Cloud-Token"] = token
        ready = _get(config, session, "/ready").json()
        thumbnail = _get(config, session, "/get_thumbnail", url=url)
        if thumbnail.headers.get("Content-Type") != "image/jpeg":
            raise Unhealthy(f"a thumbnail of {url} is no JPEG")
        sizes = {"resize_width": random.randint(*SIDES), "quality": random.randint(*QUALITIES)}  # noqa: S311
        _get(config, session, "/get_image", url=url, **sizes)
    for server in SERVERS:
        path = socket_path(config.node.run, server)
        _require(answers(path, ANSWER_S), f"image-cloud-{server} does not answer")
    parts = {name: ready.get(name, "ok") for name in ("storage", "database")}
    wrong = "; ".join(
        f"{name}: {state}"
        for name, state in (parts | ready.get("pools", {})).items()
        if state != "ok"
    )
    _require(ready["status"] == "ok", f"it serves, but degraded ({wrong})")
    return f"ready, and a thumbnail of {len(thumbnail.content)} bytes"


def _get(
    config: Config, session: requests.Session, path: str, **query: str | int
) -> requests.Response:
    answer = session.get(address(config) + path, params=query, timeout=TIMEOUT_S)
    _require(answer.ok, f"{path}: {problem(answer)}")
    return answer


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise Unhealthy(reason)


def _sample(config: Config) -> str:
    if not config.download.sample_origin:
        raise CommandError("give --url: this node has no sample pictures of its own")
    return f"http://{config.download.sample_origin}/{SAMPLE}"


def run_rollout(arguments: argparse.Namespace) -> int:
    """Restart all of ours; 1 with the reason where something does not come back."""
    config = read_config(arguments)
    steps: list[str] = []
    say: Callable[[str], None] = (
        steps.append if arguments.json else lambda line: print(line, flush=True)
    )
    socket_file = Path(config.node.run) / "supervisor.sock"
    try:
        Rollout(connect(socket_file), config.node.run, say).all()
    except CannotStart as error:
        if error.evidence:
            print(error.evidence, file=sys.stderr)
        raise CommandError(str(error)) from None
    except OSError as error:
        told = f"supervisord does not answer at {socket_file}: {error}; is the node started?"
        raise CannotReach(told) from None
    if arguments.json:
        print(json.dumps({"steps": steps}, indent=2))
    return 0
