"""Bring the clients that a deploy knows into a host's token file; those added by hand stay.

`python -m image_cloud.host.tokens FILE <CLIENTS`, where CLIENTS is JSON on stdin (a command line is
for everybody to see): `[{"name", "scopes", "token"}, {"name", "state": "absent"}]`.  Prints the names that
changed.
"""

from __future__ import annotations

import hmac
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from image_cloud.node_files.accounts import RUN_USER
from image_cloud.request import tokens


def main() -> int:
    """Apply stdin to the file; 0 when it is done, else the reason on stderr."""
    file, wanted = Path(sys.argv[1]), json.load(sys.stdin)
    try:
        print(json.dumps([client["name"] for client in wanted if apply(file, client)]))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        _hand_over(file)
    return 0


def apply(file: Path, wanted: dict[str, Any]) -> bool:
    """Add, change or remove one client; return whether that changed anything.  Raises ValueError."""
    name = wanted["name"]
    known = {client.name: client for client in tokens.read_clients(file)} if file.exists() else {}
    if wanted.get("state") == "absent":
        if name in known:
            tokens.revoke(file, name)
        return name in known
    if name in known and _is_same(known[name], wanted):
        return False
    if name in known:
        tokens.revoke(file, name)
    tokens.add(file, name, wanted["scopes"], wanted["token"])
    return True


def _is_same(client: tokens.Client, wanted: dict[str, Any]) -> bool:
    same_token = hmac.compare_digest(client.sha256, tokens.hash_token(wanted["token"]))
    return same_token and set(client.scopes) == set(wanted["scopes"])


def _hand_over(file: Path) -> None:
    if os.geteuid() != 0:
        return
    for path in (file, file.with_name(file.name + ".lock")):
        if path.exists():
            shutil.chown(path, RUN_USER, RUN_USER)


if __name__ == "__main__":
    sys.exit(main())
