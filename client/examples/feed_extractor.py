"""Feed a feature extractor 10,000 pictures: hand the list over, and read while the rest is fetched.

python feed_extractor.py http://ic00:5000,http://ic01:5000 token urls.txt
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from image_cloud_client import Client, ImageCloudError

PICTURES = 10_000
BATCH = 32
SIZE = 250


def batches(
    client: Client,
    urls: Iterable[str],
    failed: list[tuple[str, ImageCloudError]],
    workers: int = 16,
) -> Iterator[list[tuple[str, bytes]]]:
    """Yield thumbnails, BATCH at a time; what cannot be had is added to `failed`."""
    batch: list[tuple[str, bytes]] = []
    for url, came in client.get_many(urls, workers, size=SIZE):
        if isinstance(came, ImageCloudError):
            failed.append((url, came))
            continue
        batch.append((url, came))
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def extract(batch: Sequence[tuple[str, bytes]]) -> list[bytes]:
    """Stand in for the network: decode with PIL, stack, and run the model."""
    return [picture[-8:] for _url, picture in batch]


def main() -> None:
    """Extract the features of a list's first pictures, and tell the rate."""
    nodes, token_file, list_of_urls = sys.argv[1:]
    client = Client(nodes.split(","), Path(token_file).read_text())
    with open(list_of_urls, encoding="utf-8") as lines:
        urls = list(islice(map(str.strip, lines), PICTURES))
    # Fetched politely, within each shop's limit, and in advance of what is read below.
    client.prefetch(urls, thumbnails=[SIZE]).wait(
        lambda state: print(f"{state['done']} of {state['total']} fetched", end="\r")
    )
    failed: list[tuple[str, ImageCloudError]] = []
    began, features = time.monotonic(), 0
    for batch in batches(client, urls, failed):
        features += len(extract(batch))
    print(f"\n{features} pictures, {features / (time.monotonic() - began):.0f} a second")
    for url, error in failed:
        print(f"{url}: {error.code}")


if __name__ == "__main__":
    main()
