"""`image-cloud token add|list|revoke` and `image-cloud sign`."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from image_cloud.cli.access import CommandError, address, read_config
from image_cloud.config.fields import duration
from image_cloud.request import signing, tokens

COLUMNS = ("client", "scopes", "created")


def add_commands(commands: Any) -> None:
    """Add `token` and `sign`."""
    token = commands.add_parser("token", help="manage clients and their tokens")
    actions = token.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser("add", help="add a client and print its token, this once")
    add.add_argument("name")
    add.add_argument("scopes", nargs="+", help=f"out of {', '.join(tokens.SCOPES)}; or all")
    add.add_argument("--json", action="store_true", help="as JSON")
    add.set_defaults(run=run_add)
    listing = actions.add_parser("list", help="list clients and scopes")
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.set_defaults(run=run_list)
    revoke = actions.add_parser("revoke", help="make a client's token worthless within 30 s")
    revoke.add_argument("name")
    revoke.add_argument("--json", action="store_true", help="as JSON")
    revoke.set_defaults(run=run_revoke)
    sign = commands.add_parser("sign", help="sign an address so that it opens without a token")
    sign.add_argument("address", help="path and query, or the whole URL, without a token")
    sign.add_argument("--client", required=True, help="the client in whose name it is signed")
    sign.add_argument("--expires", default="1 d", help="for how long, like '1 h'; default: 1 d")
    sign.add_argument("--json", action="store_true", help="as JSON")
    sign.set_defaults(run=run_sign)


def run_add(arguments: argparse.Namespace) -> None:
    """Add a client."""
    given = [scope for part in arguments.scopes for scope in part.split(",")]
    scopes = tokens.SCOPES if given == ["all"] else given
    token = tokens.add(_file(arguments), arguments.name, scopes)
    told = {"client": arguments.name, "scopes": list(scopes), "token": token}
    print(json.dumps(told, indent=2) if arguments.json else token)


def run_list(arguments: argparse.Namespace) -> None:
    """List the clients."""
    file = _file(arguments)
    clients = tokens.read_clients(file) if file.exists() else []
    rows = [(one.name, ",".join(one.scopes), _day(one.created)) for one in clients]
    if arguments.json:
        print(json.dumps([dict(zip(COLUMNS, row, strict=True)) for row in rows], indent=2))
        return
    for name, scopes, created in [COLUMNS, *rows]:
        print(f"{name:{max(len(one[0]) for one in [COLUMNS, *rows])}}  {created:10}  {scopes}")


def run_revoke(arguments: argparse.Namespace) -> None:
    """Remove a client."""
    tokens.revoke(_file(arguments), arguments.name)
    told = {"client": arguments.name, "revoked": True}
    print(json.dumps(told, indent=2) if arguments.json else f"{arguments.name} is revoked")


def run_sign(arguments: argparse.Namespace) -> None:
    """Print the signed URL."""
    config = read_config(arguments)
    clients = tokens.read_clients(Path(config.tokens.file))
    client = next((one for one in clients if one.name == arguments.client), None)
    if client is None:
        raise CommandError(f"no client is called {arguments.client}: image-cloud token list")
    option = duration(0, 1, 3650 * 86400, "").metadata["option"]
    try:
        valid_s = option.parse(arguments.expires)
    except ValueError:
        raise CommandError(f"--expires: expected {option.form}") from None
    own, whole = address(config), arguments.address
    if whole.startswith("/"):
        whole = own + whole
    if not whole.startswith(f"{own}/"):
        raise CommandError(f"the address is not this node's; expected is a path, or {own}/...")
    if reason := signing.why_not(whole):
        raise CommandError(reason)
    expires = int(time.time() + valid_s)
    signed = signing.sign(whole, client, expires)
    print(json.dumps({"url": signed, "expires": expires}, indent=2) if arguments.json else signed)


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def _file(arguments: argparse.Namespace) -> Path:
    return Path(read_config(arguments).tokens.file)
