"""`image-cloud config check|sample` and `image-cloud migrate`."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from image_cloud.cli.access import become_run_user, config_file, home, read_config
from image_cloud.config import Config, ConfigError
from image_cloud.config.load import options, section_types
from image_cloud.config.sample import render
from image_cloud.db.connect import Database
from image_cloud.db.migrate import migrate
from image_cloud.fetch.placeholder import fallback_problems
from image_cloud.origin import origins_file, request_headers
from image_cloud.politeness import limits
from image_cloud.request.writable import format_problems


def add_commands(commands: Any) -> None:
    """Add `config` and `migrate`."""
    config = commands.add_parser("config", help="check the configuration, or print the sample")
    actions = config.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser(
        "check", help="report every mistake in the ini and the files beside it"
    )
    check.add_argument("file", nargs="?", help="the ini; default: this node's")
    check.add_argument("--json", action="store_true", help="as JSON")
    check.set_defaults(run=run_check)
    sample = actions.add_parser("sample", help="print every option with its default")
    sample.add_argument("--json", action="store_true", help="as JSON")
    sample.set_defaults(run=run_sample)
    migration = commands.add_parser("migrate", help="bring the database's schema up to date")
    migration.add_argument("--json", action="store_true", help="as JSON")
    migration.set_defaults(run=run_migrate)


def run_check(arguments: argparse.Namespace) -> int:
    """Check one file; 1 where it has mistakes."""
    # Not the file that a start made of it (run/image_cloud.ini): that one has no mistakes.
    own = home() / "image_cloud.ini"
    if arguments.file or (not arguments.config and own.exists()):
        arguments.config = str(Path(arguments.file or own))
    problems: list[str] = []
    try:
        read_config(
            arguments, [format_problems, fallback_problems, _limits_problems, _origins_problems]
        )
    except ConfigError as error:
        if not arguments.json:
            raise
        problems = error.problems
    if arguments.json:
        print(json.dumps({"file": str(config_file(arguments)), "problems": problems}, indent=2))
    else:
        print(f"{config_file(arguments)}: no mistakes")
    return 1 if problems else 0


def _limits_problems(config: Config) -> Iterator[str]:
    path = Path(config.politeness.limits_file)
    try:
        limits.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except OSError as error:
        yield f"{path} cannot be read: {error.strerror}"
    except ValueError as error:
        yield f"{path}: {error}"


def _origins_problems(config: Config) -> Iterator[str]:
    path = Path(config.download.origins_file)
    try:
        request_headers.parse(origins_file.read_text(path))
        if os.geteuid() == 0 and path.exists():
            storage = Path(config.storage.path)
            if storage.exists() and path.owner() != storage.owner():
                yield f"{path} belongs to {path.owner()}, expected is {storage.owner()}, who reads it"
    except OSError as error:
        yield f"{path} cannot be read: {error.strerror}"
    except request_headers.HeadersError as error:
        yield from (f"{path}: {problem}" for problem in error.problems)


def run_sample(arguments: argparse.Namespace) -> None:
    """Print the sample."""
    if not arguments.json:
        print(render(), end="")
        return
    defaults = Config()
    shown = {
        section: {
            name: option.show(getattr(getattr(defaults, section), name))
            for name, option in options(section_type).items()
        }
        for section, section_type in section_types().items()
    }
    print(json.dumps(shown, indent=2))


def run_migrate(arguments: argparse.Namespace) -> None:
    """Apply missing migrations."""
    config = read_config(arguments)
    become_run_user(config)
    applied = migrate(Database(config.database))
    if arguments.json:
        print(json.dumps({"applied": list(applied)}, indent=2))
        return
    for name in applied:
        print(f"applied {name}")
    print("the schema is up to date")
