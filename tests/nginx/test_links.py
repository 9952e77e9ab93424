"""nginx sends no file that a link in the storage leads to, whoever put the link there."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from image_cloud.picture.key import fan_out, key_of
from tests.frontdoor.client import DEADLINE_S, eventually, jpeg
from tests.origin import Origin
from tests.stack.running import Stack

SECRET = b"what no client may see"
FOLDERS_ARE_BELIEVED_S = 1.0  # nginx/lua/hot_path.lua
NAME = "200x200-fit-q85.jpg"
WAYS = {
    "nginx alone": "/get_thumbnail?url={}",
    "nginx alone, by its format": "/get_image?url={}&resize_width=40&format_when_resize=png",
    "through the front pool": "/get_thumbnail?url={}&size=0200",
    "the original": "/get_image?url={}",
}


class Planted:
    """A stored picture, of which files and folders are replaced by links to SECRET."""

    def __init__(self, stack: Stack, origin: Origin, elsewhere: Path) -> None:
        self.stack = stack
        self.url = origin.serve("/linked.jpg", jpeg(seed=91)) + f"?{time.monotonic_ns()}"
        self.key = key_of(self.url)
        self.variants = stack.home / f"storage/variants/{fan_out(self.key)}/{self.key}"
        self.original = stack.home / f"storage/originals/{fan_out(self.key)}/{self.key}.jpg"
        self.elsewhere = elsewhere
        elsewhere.chmod(0o755)
        for way in WAYS.values():
            for _ in range(6):  # every worker knows the address
                assert self.ask(way).status_code == 200

    def ask(self, way: str) -> requests.Response:
        header = {"X-Image-Cloud-Token": self.stack.token}
        address = self.stack.url + way.format(quote(self.url, ""))
        return requests.get(address, headers=header, timeout=DEADLINE_S)

    def secret(self, path: Path) -> Path:
        """Write a file that everybody may read, outside the storage."""
        path.write_bytes(SECRET)
        path.chmod(0o644)
        return path

    def replace(self, path: Path, target: Path) -> None:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        path.symlink_to(target)

    def is_safe(self) -> bool:
        """Say whether no way leads to SECRET, whichever worker answers."""
        return not any(SECRET in self.ask(way).content for way in WAYS.values() for _ in range(4))


@pytest.fixture
def planted(stack: Stack, origin: Origin) -> Iterator[Planted]:
    # Not below pytest's folders: nginx is another user.
    elsewhere = stack.home / "elsewhere"
    elsewhere.mkdir()
    try:
        yield Planted(stack, origin, elsewhere)
    finally:
        shutil.rmtree(elsewhere)


def test_a_variant_that_is_a_link_is_made_anew(planted: Planted) -> None:
    for name in (NAME, "40x0-fit-q85.png"):
        planted.replace(planted.variants / name, planted.secret(planted.elsewhere / name))
    assert planted.is_safe()
    answer = planted.ask(WAYS["nginx alone"])
    assert (answer.status_code, answer.headers["X-Cache"]) == (200, "HIT")
    assert not (planted.variants / NAME).is_symlink()


def test_an_original_that_is_a_link_is_fetched_anew(planted: Planted) -> None:
    planted.replace(planted.original, planted.secret(planted.elsewhere / "original.jpg"))
    shutil.rmtree(planted.variants)
    assert planted.is_safe()
    assert planted.ask(WAYS["the original"]).content == jpeg(seed=91)


@pytest.mark.parametrize("depth", [0, 1, 2], ids=["KEY", "cd", "ab"])
def test_a_folder_that_is_a_link(planted: Planted, depth: int) -> None:
    linked = [planted.variants, *planted.variants.parents][depth]
    target = planted.elsewhere / planted.variants.relative_to(linked)
    for folder in reversed([target, *target.parents][: depth + 1]):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
    for name in (NAME, "40x0-fit-q85.png"):
        planted.secret(target / name)
    planted.replace(linked, planted.elsewhere)
    try:
        noticed_at = time.monotonic() + FOLDERS_ARE_BELIEVED_S
        eventually(lambda: time.monotonic() > noticed_at, "every worker looks at folders again")
        assert planted.is_safe()
    finally:
        linked.unlink()
