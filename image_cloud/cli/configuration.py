"""`image-cloud config check|sample` and `image-cloud migrate`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from image_cloud.cli.access import become_run_user, config_file, read_config
from image_cloud.config.sample import render
from image_cloud.db.connect import Database
from image_cloud.db.migrate import migrate


def add_commands(commands: Any) -> None:
    """Add `config` and `migrate`."""
    config = commands.add_parser("config", help="check the configuration, or print the sample")
    actions = config.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="report every mistake in the ini")
    check.add_argument("file", nargs="?", help="the ini; default: this node's")
    check.set_defaults(run=run_check)
    actions.add_parser("sample", help="print every option with its default").set_defaults(
        run=run_sample
    )
    commands.add_parser("migrate", help="bring the database's schema up to date").set_defaults(
        run=run_migrate
    )


def run_check(arguments: argparse.Namespace) -> None:
    """Check one file."""
    if arguments.file:
        arguments.config = str(Path(arguments.file))
    read_config(arguments)
    print(f"{config_file(arguments)}: no mistakes")


def run_sample(_arguments: argparse.Namespace) -> None:
    """Print the sample."""
    print(render(), end="")


def run_migrate(arguments: argparse.Namespace) -> None:
    """Apply missing migrations."""
    config = read_config(arguments)
    become_run_user(config)
    for name in migrate(Database(config.database)):
        print(f"applied {name}")
    print("the schema is up to date")
