"""Which formats the imaging library of this installation can write."""

from __future__ import annotations

import functools
import importlib.util
import subprocess
import sys
from collections.abc import Container, Iterator

from image_cloud.config.sections import ENCODABLE, Config
from image_cloud.request.accept import AUTO

OPTIONAL = {"webp": "webp", "tiff": "libtiff"}
IN_EVERY_BUILD = "jpeg"


@functools.cache
def writable_formats() -> tuple[str, ...]:
    """Return the names out of ENCODABLE that this build of PIL can write, its plugins included.

    A process of its own asks PIL: the front pool, which asks here, never decodes and does without those 5 MB.
    """
    command = [sys.executable, "-P", "-m", "image_cloud.request.writable"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    return tuple(done.stdout.split())


def format_problems(config: Config) -> Iterator[str]:
    """Yield a line for each option that names a format which this installation cannot write."""
    resize = config.resize
    named = [
        ("format_when_resize", resize.format_when_resize),
        ("thumbnail_format", resize.thumbnail_format),
        *(("auto_formats", name) for name in resize.auto_formats),
    ]
    for option, name in named:
        if name not in (AUTO, IN_EVERY_BUILD) and name not in writable_formats():
            yield (
                f"[resize] {option} = {name}: this installation cannot write it; "
                f"expected one of {', '.join(writable_formats())}"
            )


def _formats_of_pil() -> tuple[str, ...]:
    from PIL import Image

    Image.init()
    return tuple(name for name in ENCODABLE if _is_writable(name, Image.SAVE))


def _is_writable(name: str, writers: Container[str]) -> bool:
    from PIL import features

    if name == "avif":  # the plugin is loaded in the decoder alone
        return bool(features.check("avif")) or importlib.util.find_spec("pillow_avif") is not None
    is_there = name not in OPTIONAL or bool(features.check(OPTIONAL[name]))
    return is_there and name.upper() in writers


if __name__ == "__main__":
    print(*_formats_of_pil())
