"""Resize what the parent process names, one JSON line each, under the memory limit of a decoder's worker.

Answers with one JSON line: the outcome, the seconds, the peak memory, the PSNR to the reference.
"""

from __future__ import annotations

import io
import json
import resource
import sys
import time
from pathlib import Path

from PIL import Image

from image_cloud.config.sections import DECODABLE, Resize
from image_cloud.errors import ImageCloudError
from image_cloud.picture.variant import Focus, Recipe
from image_cloud.resize import resize
from tests.corpus.reference import original, psnr_db, reference

LIMITS = Resize(formats=DECODABLE)
MOST_REFERENCE_PIXELS = 60_000_000


def main() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        recipe = Recipe(**job["recipe"] | {"focus": Focus(*job["recipe"]["focus"])})
        answer = outcome(Path(job["path"]), recipe)
        print(json.dumps(answer), flush=True)


def outcome(path: Path, recipe: Recipe) -> dict[str, object]:
    """Resize one file and judge the result."""
    variant, answer = resized(path, recipe)
    if variant is None:
        return answer | {"reference": reference_opens(path)}
    image = Image.open(io.BytesIO(variant))
    image.load()
    try:
        wanted = reference(path, recipe)
    except Exception as error:  # the reference may refuse whatever it likes
        return answer | {"outcome": "unjudged", "why": repr(error)}
    if image.size != wanted.size:
        return answer | {"outcome": "wrong", "why": f"{image.size} instead of {wanted.size}"}
    if recipe.format in ("jpeg", "bmp"):
        wanted = Image.alpha_composite(Image.new("RGBA", wanted.size, "white"), wanted)
    extra = sorted(set(image.info) & {"exif", "icc_profile", "comment", "xmp"})
    if extra:
        return answer | {"outcome": "wrong", "why": f"passes on {extra}"}
    return answer | {"outcome": "right", "psnr_db": psnr_db(image.convert("RGBA"), wanted)}


def resized(path: Path, recipe: Recipe) -> tuple[bytes | None, dict[str, object]]:
    """Resize under the memory limit; measure."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    Path("/proc/self/clear_refs").write_text("5")
    resource.setrlimit(resource.RLIMIT_AS, (LIMITS.worker_memory, hard))
    variant, answer, started = None, {}, time.process_time()
    try:
        variant = resize(path, recipe, LIMITS)
    except ImageCloudError as error:
        answer = {"outcome": "refused", "code": error.code, "why": error.detail}
    except BaseException as error:  # exactly what must not happen
        answer = {"outcome": "raised", "why": repr(error)}
    finally:
        seconds = time.process_time() - started
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    return variant, answer | {"seconds": seconds, "peak_mib": peak_mib()}


def reference_opens(path: Path) -> bool:
    """Tell whether plain PIL decodes the file and it is within the limits."""
    Image.MAX_IMAGE_PIXELS = None
    try:
        with Image.open(path) as image:
            if image.width * image.height > LIMITS.max_pixels:
                return False
        original(path)
    except Exception:
        return False
    return True


def peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
