"""The command line: `image-cloud COMMAND`; each module adds its commands."""

from __future__ import annotations

import argparse
import sys

from image_cloud import __version__
from image_cloud.cli import (
    catalogue,
    cluster,
    configuration,
    domains,
    explaining,
    importing,
    operating,
    pictures,
    prefetch,
    tokens,
    verifying,
)
from image_cloud.cli.access import CommandError
from image_cloud.config import ConfigError
from image_cloud.errors import ImageCloudError

MODULES = (
    configuration,
    tokens,
    pictures,
    explaining,
    prefetch,
    domains,
    catalogue,
    cluster,
    importing,
    verifying,
    operating,
)


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(prog="image-cloud", description="Operate an Image Cloud node.")
    top.add_argument("--version", action="version", version=__version__)
    top.add_argument(
        "--config", metavar="FILE", help="the ini; default: that of the stack in $IMAGE_CLOUD_HOME"
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in MODULES:
        module.add_commands(commands)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command; print errors as one clear text and return the exit status."""
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.run(arguments) or 0)
    except (CommandError, ConfigError, ImageCloudError, ValueError) as error:
        print(f"image-cloud: {error}", file=sys.stderr)
    except PermissionError as error:
        print(f"image-cloud: no right to use {error.filename}", file=sys.stderr)
    except OSError as error:
        print(f"image-cloud: {error.filename or ''} {error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1
