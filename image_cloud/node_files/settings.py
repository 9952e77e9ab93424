"""The effective configuration: the home's ini, then the variables of this run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from image_cloud.config import Config, load_config
from image_cloud.config.sample import render
from image_cloud.fetch.placeholder import fallback_problems
from image_cloud.node_files.accounts import Accounts
from image_cloud.node_files.files import Planned
from image_cloud.node_files.home import Home
from image_cloud.request import tokens
from image_cloud.request.writable import format_problems

FIRST_LIMITS = {"default": 8}


def write_first(home: Home, checkout: Path, accounts: Accounts) -> None:
    """Give a new home its ini, limits and headers for origins, for a person to edit.

    Nobody but the run user may read the last one, whoever wrote it.
    """
    if not home.ini.exists():
        Planned(home.ini, (checkout / "image_cloud.ini").read_text(encoding="utf-8"), 0o600).write()
    if not home.limits.exists():
        Planned(home.limits, json.dumps(FIRST_LIMITS) + "\n", 0o640).write()
        if accounts.privileged:
            shutil.chown(home.limits, group=accounts.run.gid)
    if not home.origins.exists():
        Planned(home.origins, "{}\n", 0o600).write()
    if accounts.privileged:
        shutil.chown(home.origins, accounts.run.uid, accounts.run.gid)


def write_first_token(home: Home, config: Config, accounts: Accounts) -> None:
    """Make the token with all scopes, once, and keep it where only its owner can read it."""
    if home.token.exists():
        return
    file = Path(config.tokens.file)
    known = {client.name for client in tokens.read_clients(file)} if file.exists() else set()
    name = next(
        name for name in ("first", *(f"first-{n}" for n in range(2, 1000))) if name not in known
    )
    token = tokens.add(file, name, tokens.SCOPES)
    if accounts.privileged:
        shutil.chown(file, accounts.run.uid, accounts.run.gid)
    Planned(home.token, token + "\n", 0o600).write()


def load(home: Home, environment: Mapping[str, str], sample_origin: str) -> Config:
    """Return the configuration of this run.  Raises ConfigError with every mistake."""
    listen = environment.get("IMAGE_CLOUD_LISTEN", "")
    overrides = [
        f"node.listen={listen}" if listen else "",
        f"download.sample_origin={sample_origin}",
        environment.get("IMAGE_CLOUD_SET", ""),
    ]
    return load_config(
        home.ini,
        home=str(home.root),
        overrides=";".join(overrides),
        checks=[format_problems, fallback_problems],
    )


def plan(home: Home, config: Config, accounts: Accounts) -> list[Planned]:
    """Return what the processes read: all of it, and what the decoder has to know."""
    for_decoder = Config(node=config.node, resize=config.resize, pools=config.pools)
    return [
        Planned(home.config, render(config, comments=False), 0o600, accounts.run),
        Planned(home.decoder_config, render(for_decoder, comments=False)),
    ]
