"""Lists of URLs for img2dataset and other downloaders that know no tokens: each URL becomes a signed one.

image-cloud-sign-list --url http://ic00:5000 --name importer --token-file token < urls.txt > signed.txt
img2dataset --url_list signed.txt --input_format txt --output_folder pictures

The key of a sample stays its place in the list; --with-url writes a CSV with both, `url` and `original_url`.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from image_cloud_client.client import Client

DAY_S = 86400.0


def signed_list(
    client: Client, urls: Iterable[str], *, size: int | None = None, expires_in_s: float = DAY_S
) -> Iterator[tuple[str, str]]:
    """Yield (signed URL, URL) of each of `urls`; empty lines are left out."""
    for url in map(str.strip, urls):
        if url:
            yield client.signed_url(url, size, expires_in_s=expires_in_s), url


def main() -> None:
    """Sign the URLs of standard input."""
    arguments = _parser().parse_args()
    token = arguments.token_file.read_text()
    client = Client([arguments.url], token, name=arguments.name)
    found = signed_list(client, sys.stdin, size=arguments.size, expires_in_s=arguments.hours * 3600)
    _write(found, sys.stdout, arguments.with_url)


def _write(found: Iterable[tuple[str, str]], file: TextIO, with_url: bool) -> None:
    if not with_url:
        file.writelines(f"{signed}\n" for signed, _url in found)
        return
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["url", "original_url"])
    rows.writerows(found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="image-cloud-sign-list",
        description="Signs a list of URLs, so that any downloader fetches them through Image Cloud.",
    )
    parser.add_argument("--url", required=True, help="the node, http://HOST:PORT")
    parser.add_argument("--name", required=True, help="the name of the token's client")
    parser.add_argument("--token-file", required=True, type=Path)
    parser.add_argument("--size", type=int, help="thumbnails of this size; default: originals")
    parser.add_argument("--hours", type=float, default=24.0, help="open for so long; default: 24")
    parser.add_argument("--with-url", action="store_true", help="CSV: url, original_url")
    return parser


if __name__ == "__main__":
    main()
