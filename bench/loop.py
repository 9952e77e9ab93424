"""Raw PIL in a loop over files: what decoding costs without anything around it."""

from __future__ import annotations

import io
import sys

from PIL import Image


def main() -> None:
    """Resize the files named on stdin, one a line, to argv[1] pixels."""
    side = int(sys.argv[1])
    print("ready", flush=True)
    for line in sys.stdin:
        with Image.open(line.strip()) as image:
            image.draft("RGB", (side, side))
            small = image.convert("RGB")
            small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=1.5)
            small.save(io.BytesIO(), "JPEG", quality=85)


if __name__ == "__main__":
    main()
