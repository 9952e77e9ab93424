"""The command line: `image-cloud COMMAND`; each module adds its commands."""

from __future__ import annotations

import argparse
import os
import signal
import sys

import shtab

from image_cloud import __version__
from image_cloud.cli import (
    cluster,
    configuration,
    domains,
    explaining,
    operating,
    pictures,
    tokens,
    verifying,
)
from image_cloud.cli.access import CannotReach, CommandError, Refused
from image_cloud.cli.batches import overview, prefetch
from image_cloud.cli.similarity import facts, similar
from image_cloud.cli.state import status, top
from image_cloud.cli.stores import exporting, importing
from image_cloud.config import ConfigError
from image_cloud.errors import ImageCloudError, Unavailable

WRONG = 1
EXIT_STATUSES = """\
exit status: 0 good, 1 found something wrong, 2 usage, 3 a node or its database cannot be reached, 4 refused,
130 interrupted.  docs/command_line.md says more."""
MODULES = (
    configuration,
    tokens,
    pictures,
    explaining,
    facts,
    similar,
    prefetch,
    overview,
    domains,
    status,
    top,
    cluster,
    exporting,
    importing,
    verifying,
    operating,
)


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(
        prog="image-cloud", description="Operate an Image Cloud node.", epilog=EXIT_STATUSES
    )
    top.add_argument("--version", action="version", version=__version__)
    top.add_argument(
        "--config", metavar="FILE", help="the ini; default: that of the stack in $IMAGE_CLOUD_HOME"
    )
    top.add_argument(
        "--url", dest="url_of_node", metavar="URL",
        help="a node's base URL, for commands that only ask over HTTP; default: $IMAGE_CLOUD_URL, or ours",
    )  # fmt: skip
    top.add_argument(
        "--token-file", metavar="FILE",
        help="the token to ask with; default: $IMAGE_CLOUD_TOKEN, or `token` in $IMAGE_CLOUD_HOME",
    )  # fmt: skip
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in MODULES:
        module.add_commands(commands)
    completion = commands.add_parser("completion", help="print what a shell needs for completion")
    completion.add_argument("shell", choices=shtab.SUPPORTED_SHELLS)
    completion.set_defaults(run=_print_completion)
    return top


def _print_completion(arguments: argparse.Namespace) -> None:
    print(shtab.complete(parser(), arguments.shell))


def main(argv: list[str] | None = None) -> int:
    """Run one command; print errors as one clear text.

    Return the exit status: 0 all is well, 1 something is wrong, 2 usage, 3 a node or its database does not
    answer, 4 refused, 130 interrupted.
    """
    arguments = parser().parse_args(argv)
    try:
        status = int(arguments.run(arguments) or 0)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (CommandError, ConfigError, ImageCloudError, ValueError, OSError) as error:
        print(f"image-cloud: {_told(error)}", file=sys.stderr)
        return _status(error)


def _told(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return f"no right to use {error.filename}: run it as root, or as the user whose file it is"
    if isinstance(error, OSError):
        return f"{error.filename or ''} {error.strerror or error}".strip()
    return str(error)


def _status(error: Exception) -> int:
    if isinstance(error, CommandError):
        return error.status
    if isinstance(error, Unavailable):
        return CannotReach.status
    if isinstance(error, (PermissionError, ImageCloudError)):
        return Refused.status
    return WRONG if isinstance(error, ConfigError) else CommandError.status
