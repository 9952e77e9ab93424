"""Downloads a list of URLs as others do: a program of the bench's own environment.

.cache/bench/venv/bin/python bench/prefetch_rivals.py img2dataset|requests|aiohttp URLS_FILE FOLDER SIDE

SIDE is that of a thumbnail which is kept in the picture's place, 0 for none.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

THREADS, CONNECTIONS, QUALITY = 64, 400, 85
SHARD, THREADS_EACH = 500, 128


def main() -> None:
    kind, urls_file, folder, side = sys.argv[1:]
    urls = Path(urls_file).read_text().split()
    Path(folder).mkdir(parents=True, exist_ok=True)
    if kind == "img2dataset":
        with_img2dataset(urls_file, folder, int(side))
    elif kind == "requests":
        with_requests(urls, Path(folder), int(side))
    else:
        asyncio.run(with_aiohttp(urls, Path(folder), int(side)))


def with_img2dataset(urls_file: str, folder: str, side: int) -> None:
    """Run img2dataset with a process per core; it resizes by OpenCV in its threads."""
    from img2dataset import download

    shape = {"image_size": side, "resize_mode": "keep_ratio_largest"} if side else {}
    plain = {"resize_mode": "no", "disable_all_reencoding": True}
    download(
        url_list=urls_file, output_folder=folder, processes_count=os.cpu_count(),
        thread_count=THREADS_EACH, number_sample_per_shard=SHARD, retries=0, **(shape or plain),
    )  # fmt: skip


def with_requests(urls: list[str], folder: Path, side: int) -> None:
    """Run a pool of threads, with a session each."""
    import requests

    own = threading.local()

    def fetch(job: tuple[int, str]) -> None:
        number, url = job
        if not hasattr(own, "session"):
            own.session = requests.Session()
        answer = own.session.get(url, timeout=30)
        answer.raise_for_status()
        keep(answer.content, folder / f"{number}.jpg", side)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(fetch, enumerate(urls)))


async def with_aiohttp(urls: list[str], folder: Path, side: int) -> None:
    """Run one event loop; writing and resizing are done in threads."""
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as session:

        async def fetch(number: int, url: str) -> None:
            async with session.get(url) as answer:
                answer.raise_for_status()
                content = await answer.read()
            await asyncio.to_thread(keep, content, folder / f"{number}.jpg", side)

        await asyncio.gather(*(fetch(number, url) for number, url in enumerate(urls)))


def keep(content: bytes, path: Path, side: int) -> None:
    """Write a picture, or its thumbnail fitted into a box."""
    path.write_bytes(thumbnail(content, side) if side else content)


def thumbnail(content: bytes, side: int) -> bytes:
    """Return a JPEG of at most `side` px, by OpenCV as img2dataset does it."""
    import cv2
    import numpy

    image = cv2.imdecode(numpy.frombuffer(content, numpy.uint8), cv2.IMREAD_UNCHANGED)
    scale = side / max(image.shape[:2])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1])


if __name__ == "__main__":
    main()
