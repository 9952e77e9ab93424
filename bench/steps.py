"""Single steps of a new thumbnail, each done in two ways: what a choice costs and what it brings."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence

from PIL import Image, JpegImagePlugin

from bench import pictures
from bench.quality import psnr_db
from bench.systems import CACHE
from image_cloud.config.sections import Resize
from image_cloud.picture.geometry import Size, layout
from image_cloud.request.params import thumbnail_recipe
from image_cloud.resize import jpeg_scans, resize_all
from image_cloud.resize.decode import FED_AT_ONCE_BYTES
from image_cloud.resize.encode import encode
from image_cloud.resize.readers import jpeg
from image_cloud.storage.new_file import NewFile, sync_together

PRODUCTS, SOME, ROUNDS, SCALE = 300, 90, 5, 4
SIDES = (200, 250)
LANCZOS, BICUBIC = Image.Resampling.LANCZOS, Image.Resampling.BICUBIC
ORIGINAL_BYTES, NOTE_BYTES, VARIANT_BYTES = 220_000, 400, 6_000


def main() -> None:
    folder = CACHE / f"pictures-{PRODUCTS}"
    names, _ = pictures.make(folder, PRODUCTS, 0)
    files = [(folder / name).read_bytes() for name in names[:SOME]]
    print("| step | one way | another |\n|---|---|---|")
    progressive(files[::3])
    drawn = [decoded(data, SCALE) for data in files]
    whole = [decoded(data, 1) for data in files]
    resampling(drawn, whole)
    encoding(
        [small(image, full, BICUBIC, SIDES[0]) for image, full in zip(drawn, whole, strict=True)]
    )
    syncing()
    recipes = [thumbnail_recipe(side, Resize()) for side in SIDES]
    paths = [folder / name for name in names[:SOME]]
    alone = cpu_ms(lambda: [resize_all(path, recipes, Resize()) for path in paths], SOME)
    print(f"| decode, resample and encode both, picture after picture | {alone:.2f} ms | |")


def progressive(files: Sequence[bytes]) -> None:
    """Decode progressive pictures at 1/4 with everything, with what counts, and without the last DC bit."""

    def pruned(data: bytes) -> bytes:
        found = jpeg_scans.outline(data, 100)
        return jpeg.rewritten(data, found, jpeg_scans.pruned(found, SCALE))

    shipped = [pruned(data) for data in files]
    coarsest, jpeg_scans.COARSEST_DC = jpeg_scans.COARSEST_DC, {}
    with_dc = [pruned(data) for data in files]
    jpeg_scans.COARSEST_DC = coarsest
    costs = [decoding_ms(some) for some in (files, with_dc, shipped)]
    print(
        f"| decode a progressive JPEG: all scans; those that count | {costs[0]:.2f} ms | {costs[1]:.2f} ms |"
    )
    print(f"| ... with the last bit of DC; without | {costs[1]:.2f} ms | {costs[2]:.2f} ms |")


def decoding_ms(files: Sequence[bytes]) -> float:
    """Return the CPU milliseconds of decoding one of `files` at 1/4."""
    return cpu_ms(lambda: [decoded(data, SCALE) for data in files], len(files))


def resampling(drawn: Sequence[Image.Image], whole: Sequence[Image.Image]) -> None:
    """Resample to both sizes by Lanczos and bicubic, and compare with Lanczos from full size."""
    cells = []
    for filter in (LANCZOS, BICUBIC):

        def both(filter: Image.Resampling = filter) -> list[Image.Image]:
            pairs = zip(drawn, whole, strict=True)
            return [small(image, full, filter, side) for image, full in pairs for side in SIDES]

        wanted = [full.resize(size(full, side), LANCZOS) for full in whole for side in SIDES]
        db = statistics.mean(map(psnr_db, both(), wanted))
        cells.append(f"{cpu_ms(both, len(drawn)):.2f} ms, {db:.1f} dB")
    print(
        f"| resample to {SIDES} px, as drawn at 1/{SCALE}: Lanczos; bicubic | {' | '.join(cells)} |"
    )


def encoding(images: Sequence[Image.Image]) -> None:
    """Encode with the best Huffman tables and with libjpeg's own."""
    cells = []
    recipe = thumbnail_recipe(SIDES[0], Resize())
    for quickly in (False, True):

        def all_of(quickly: bool = quickly) -> int:
            return sum(len(encode(image, recipe, quickly=quickly)) for image in images)

        cells.append(f"{cpu_ms(all_of, len(images)):.2f} ms, {all_of() / len(images):,.0f} bytes")
    print(f"| encode {SIDES[0]} px: best Huffman tables; libjpeg's own | {' | '.join(cells)} |")


def syncing() -> None:
    """Write, sync and name two files: from temporary names in turn, and as shipped."""
    for title, sizes in (
        ("an original and its note", (ORIGINAL_BYTES, NOTE_BYTES)),
        ("two variants", (VARIANT_BYTES,) * 2),
    ):
        with tempfile.TemporaryDirectory() as folder:
            cells = []
            for way in (in_turn, together):
                waits = [timed(way, folder, sizes) for _ in range(300)]
                cells.append(f"{statistics.median(waits) * 1000:.2f} ms")
            print(
                f"| write and sync {title} (time, not CPU): renamed, in turn; without a name, together "
                f"| {' | '.join(cells)} |"
            )


def timed(way: Callable[[str, Sequence[int]], None], folder: str, sizes: Sequence[int]) -> float:
    """Return the seconds that writing new files of `sizes` bytes took."""
    began = time.perf_counter()
    way(folder, sizes)
    return time.perf_counter() - began


def in_turn(folder: str, sizes: Sequence[int]) -> None:
    for count in sizes:
        name = f"{folder}/{secrets.token_hex(8)}"
        with open(name + ".new", "xb", buffering=0) as file:
            file.write(bytes(count))
            os.fsync(file.fileno())
        os.rename(name + ".new", name)


def together(folder: str, sizes: Sequence[int]) -> None:
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(NewFile(folder, 0o600)) for _ in sizes]
        for file, count in zip(files, sizes, strict=True):
            file.write(bytes(count))
        sync_together(*files)
        for file in files:
            file.place(f"{folder}/{secrets.token_hex(8)}", 0o700)


def decoded(data: bytes, scale: int) -> Image.Image:
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    image.decodermaxblock = FED_AT_ONCE_BYTES
    if scale > 1:
        image.draft(None, (image.width // scale, image.height // scale))
    image.load()
    return image


def size(full: Image.Image, side: int) -> Size:
    return layout(Size(*full.size), thumbnail_recipe(side, Resize())).picture


def small(
    image: Image.Image, full: Image.Image, filter: Image.Resampling, side: int
) -> Image.Image:
    box = (0, 0, full.width / SCALE, full.height / SCALE)
    return image.resize(size(full, side), filter, box)


def cpu_ms(work: Callable[[], object], count: int) -> float:
    """Return the CPU milliseconds of one of `count` pictures, the least of some rounds."""

    def once() -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    return min(once() for _ in range(ROUNDS)) / count * 1000


if __name__ == "__main__":
    main()
