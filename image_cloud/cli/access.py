"""How a command reaches its node: configuration, token, address, run user."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from image_cloud.config import Check, Config, load_config
from image_cloud.node import Node


class CommandError(Exception):
    """A command cannot do what was asked; the text says why, `status` is the exit status."""

    status = 2


class Failed(CommandError):
    """A command was asked for the right thing and could not end it."""

    status = 1


class CannotReach(CommandError):
    """A node, or its database, does not answer."""

    status = 3


class Refused(CommandError):
    """The node refuses what was asked."""

    status = 4


def home() -> Path:
    """Return $IMAGE_CLOUD_HOME, by default `var/` beside the virtual environment."""
    given = os.environ.get("IMAGE_CLOUD_HOME")
    return Path(given).absolute() if given else Path(sys.prefix).parent / "var"


def config_file(arguments: argparse.Namespace) -> Path:
    """Return the ini: --config, IMAGE_CLOUD_CONFIG, that of the running stack, or the home's."""
    given = arguments.config or os.environ.get("IMAGE_CLOUD_CONFIG")
    if given:
        return Path(given).absolute()
    running = home() / "run" / "image_cloud.ini"
    return running if running.exists() else home() / "image_cloud.ini"


def read_config(arguments: argparse.Namespace, checks: Iterable[Check] = ()) -> Config:
    """Return the node's configuration, with `checks` passed.  Raises ConfigError, CommandError."""
    if arguments.url_of_node:
        raise CommandError("--url: this command works on the files of a node; run it there")
    file = config_file(arguments)
    if not file.exists():
        ways = "start a stack (./run up), give --config FILE, or ask a node elsewhere with --url"
        raise CommandError(f"there is no {file}; {ways}")
    overrides = os.environ.get("IMAGE_CLOUD_SET", "")
    return load_config(file, home=str(home()), overrides=overrides, checks=checks)


def open_node(arguments: argparse.Namespace) -> Node:
    """Return the node that the command works on.  Raises ConfigError, CommandError."""
    return Node(read_config(arguments))


def become_run_user(config: Config) -> None:
    """As root, become the user that owns the storage: the database knows no other."""
    if os.geteuid() == 0:
        owner = os.stat(config.storage.local)  # there even where nodes share a storage that is away
        _leave_home()
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)


def act_as_run_user(config: Config) -> None:
    """As root, act as the run user for now: `with_own_rights` undoes it for a moment."""
    if os.geteuid() == 0:
        owner = os.stat(config.storage.local)  # there even where nodes share a storage that is away
        os.umask(0o007)
        _leave_home()
        os.setgroups([])
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)


def _leave_home() -> None:
    """Have libpq look into the run user's home: that root's may not be read ends a connection with TLS."""
    os.environ.pop("HOME", None)


@contextlib.contextmanager
def with_own_rights() -> Iterator[None]:
    """Act as who started the command."""
    before = os.geteuid()
    os.seteuid(os.getuid())
    try:
        yield
    finally:
        os.seteuid(before)


def token_of(arguments: argparse.Namespace) -> str:
    """Return the token to ask a node with: --token-file, IMAGE_CLOUD_TOKEN or the home's `token`."""
    given = os.environ.get("IMAGE_CLOUD_TOKEN")
    if given and not arguments.token_file:
        return given
    file = Path(arguments.token_file or home() / "token")
    try:
        token = file.read_text("ascii").strip()
        reason = "" if token.isprintable() and token else "there is no token in it"
    except ValueError:
        reason = "there is no token in it"
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        ways = "give --token-file FILE, or set IMAGE_CLOUD_TOKEN"
        raise CommandError(f"no token: {file}: {reason}; {ways}")
    return token


def address(config: Config) -> str:
    """Return the node's own base URL."""
    host, _, port = config.node.listen.rpartition(":")
    return f"http://{'127.0.0.1' if host in ('*', '0.0.0.0') else host}:{port}"  # noqa: S104
