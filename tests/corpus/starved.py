"""Resize pictures with less and less memory, each try in a process of its own; for test_memory.

    python -m tests.corpus.starved FORMAT WIDTH FILE ...

Prints one JSON object: for each file what came of each try, by the megabytes that it had.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

from image_cloud.config.sections import DECODABLE, Resize
from image_cloud.errors import ImageCloudError
from image_cloud.picture.variant import Recipe
from image_cloud.resize import resize
from image_cloud.resize.heif import codecs

LIMITS = Resize(formats=DECODABLE)
MEGABYTES = (*range(1, 24), 28, 34, 42, 54, 70, 100)


def main() -> None:
    codecs.load()
    recipe = Recipe(int(sys.argv[2]), 0, format=sys.argv[1])
    paths = map(Path, sys.argv[3:])
    print(
        json.dumps(
            {path.name: {size: tried(path, recipe, size) for size in MEGABYTES} for path in paths}
        )
    )


def tried(path: Path, recipe: Recipe, megabytes: int) -> str:
    """Return `fine`, an error's code, or how the process died."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, outcome(path, recipe, megabytes).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    return text or f"died, status {status}"


def outcome(path: Path, recipe: Recipe, megabytes: int) -> str:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = used + megabytes * 10**6
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        resize(path, recipe, LIMITS)
    except ImageCloudError as error:
        return error.code
    except BaseException as error:
        return repr(error)
    return "fine"


if __name__ == "__main__":
    main()
