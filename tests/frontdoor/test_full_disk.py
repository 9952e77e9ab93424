"""A storage that is full or read-only passes pictures on, unstored, and says so."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import SETTINGS
from tests.frontdoor.client import eventually, get, jpeg, picture, problem, tag_of
from tests.origin import Origin
from tests.stack.running import Stack

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")


@pytest.fixture
def small() -> Iterator[Stack]:
    """A stack whose storage is a file system of 64 MB."""
    with tempfile.TemporaryDirectory(prefix="image-cloud-") as folder:
        storage = Path(folder) / "storage"
        storage.mkdir()
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64m,nr_inodes=4000", "tmpfs", storage], check=True
        )
        try:
            settings = f"{SETTINGS};storage.path={storage}"
            with Stack(Path(folder) / "home", settings=settings) as running:
                yield running
        finally:
            subprocess.run(["umount", "-l", storage], check=True)


def storage_of(stack: Stack) -> Path:
    return Path(stack.settings.rpartition("storage.path=")[2])


def remounted(folder: Path) -> bool:
    command = ["mount", "-o", "remount,bind,ro", folder]
    return not subprocess.run(command, check=False, capture_output=True).returncode


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Have every write below `folder` fail with EROFS."""
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        eventually(lambda: remounted(folder), "no daemon has a file open for writing")
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path, leave_bytes: int) -> Path:
    """Fill the file system but for `leave_bytes`; return the file to remove."""
    blocker = folder / "blocker"

    def take_what_is_left() -> bool:
        status = os.statvfs(folder)
        with contextlib.suppress(OSError), open(blocker, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - leave_bytes)
            return True
        return False  # a daemon wrote something meanwhile

    eventually(take_what_is_left, "the file system is filled")
    return blocker


@pytest.mark.parametrize("leave_bytes", [0, 20_000_000], ids=["to-the-brim", "fills-up-meanwhile"])
def test_a_full_storage(leave_bytes: int, small: Stack, origin: Origin) -> None:
    storage = storage_of(small)
    kept = origin.serve("/kept.jpg", jpeg(seed=1))
    assert get(small, "/get_thumbnail", url=kept).status_code == 200
    # Larger than what is free, where something is: the reserve of 16 MB is not touched at first.
    content = jpeg(seed=2) + b"\0" * (30_000_000 if leave_bytes else 0)
    url = origin.serve("/new.jpg", content)
    with small.without("image-cloud-janitor"):  # it makes room, which counts for up to a second
        blocker = fill(storage, leave_bytes)
        _passes_on(small, origin, url, content)
        if not leave_bytes:
            _says_that_it_is_full(small, url, kept)
    if not leave_bytes:
        for _ in range(14):
            thumbnail = get(small, "/get_thumbnail", url=url)
            assert picture(thumbnail).size == (200, 150)
        assert origin.count("/new.jpg") == 1
        eventually(
            lambda: get(small, "/delete_image", "DELETE", url=url).status_code == 200,
            "variants make room for the tombstone",
        )
        assert get(small, "/get_image", url=url).content == content
        assert origin.count("/new.jpg") == 2
        eventually(lambda: "full" in get(small, "/ready").json()["storage"], "/ready says so")
        assert get(small, "/ready").status_code == 200
    assert get(small, "/get_image", url=kept).headers["X-Cache"] == "HIT"
    assert get(small, "/get_image", url=kept, resize_width=33).status_code == 200
    assert not list((storage / "originals").rglob("*.jpg"))[1:], "nothing partial is kept"
    blocker.unlink()
    eventually(lambda: get(small, "/ready").json()["status"] == "ok", "ready again")
    small_picture = origin.serve("/after.jpg", jpeg(seed=3))
    eventually(
        lambda: get(small, "/get_image", url=small_picture).headers["X-Cache"] == "HIT",
        "pictures are stored again",
    )


def _passes_on(small: Stack, origin: Origin, url: str, content: bytes) -> None:
    for _ in range(2):
        answer = get(small, "/get_image", url=url)
        assert answer.content == content
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "public, max-age=86400"
        assert answer.headers["ETag"] == tag_of(content)
        assert "Accept-Ranges" not in answer.headers
    assert origin.count("/new.jpg") == 1


def _says_that_it_is_full(small: Stack, new: str, kept: str) -> None:
    for url, asked in ((new, {}), (new, {"resize_width": 34}), (kept, {"resize_width": 34})):
        made_sure = get(small, "/get_image", url=url, no_image=1, **asked)
        problem(made_sure, 503, "storage_unavailable")


def test_without_inodes_the_storage_is_full(small: Stack, origin: Origin) -> None:
    storage = storage_of(small)
    blockers = storage / "blockers"
    blockers.mkdir()
    for number in range(os.statvfs(storage).f_favail - 500):  # the reserve is 1,000
        (blockers / str(number)).touch()
    eventually(lambda: "full" in get(small, "/ready").json()["storage"], "/ready says so")
    url = origin.serve("/new.jpg", content := jpeg(seed=2))
    assert get(small, "/get_image", url=url).content == content
    assert not list((storage / "originals").rglob("*.jpg"))
    shutil.rmtree(blockers)
    eventually(lambda: get(small, "/get_image", url=url).headers["X-Cache"] == "HIT", "stored")


def test_variants_make_room_for_originals(small: Stack, origin: Origin) -> None:
    storage = storage_of(small)
    kept = origin.serve("/kept.jpg", jpeg(seed=1))
    large = {"resize_width": 2000, "enlarge": "true", "format_when_resize": "bmp"}
    assert len(get(small, "/get_image", url=kept, **large).content) > 9_000_000
    assert list((storage / "variants").rglob("*.bmp"))
    fill(storage, 12_000_000)
    eventually(lambda: not list((storage / "variants").rglob("*.bmp")), "variants go first")
    url = origin.serve("/new.jpg", jpeg(seed=2))
    eventually(
        lambda: get(small, "/get_image", url=url).headers["X-Cache"] == "HIT", "it is stored"
    )
    assert get(small, "/get_image", url=kept).headers["X-Cache"] == "HIT"


def test_a_read_only_storage(small: Stack, origin: Origin) -> None:
    storage = storage_of(small)
    kept = origin.serve("/kept.jpg", jpeg(seed=1))
    assert get(small, "/get_image", url=kept).headers["X-Cache"] == "MISS"
    with read_only(storage):
        url = origin.serve("/new.jpg", content := jpeg(seed=2))
        for _ in range(2):
            answer = get(small, "/get_image", url=url)
            assert (answer.status_code, answer.content) == (200, content)
        assert picture(get(small, "/get_thumbnail", url=url)).size == (200, 150)
        box = {"resize_width": 30, "resize_height": 70, "resize_mode": "crop", "trim": 1}
        assert picture(get(small, "/get_image", url=url, **box, gravity="east")).size == (30, 70)
        problem(get(small, "/get_image", url=origin.url("/none.jpg")), 404, "origin_not_found")
        assert get(small, "/get_image", url=kept).headers["X-Cache"] == "HIT"
        assert picture(get(small, "/get_image", url=kept, resize_width=64)).size == (64, 48)
        problem(get(small, "/delete_image", "DELETE", url=kept), 503, "storage_unavailable")
        eventually(lambda: "Read-only" in get(small, "/ready").json()["storage"], "/ready says so")
    eventually(
        lambda: get(small, "/get_image", url=url).headers["X-Cache"] == "HIT", "it is stored again"
    )
