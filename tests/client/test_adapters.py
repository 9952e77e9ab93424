"""fsspec and img2dataset read through Image Cloud; the example feeds an extractor."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest
import requests
from PIL import Image

from image_cloud_client import errors
from image_cloud_client.adapters.filesystem import ImageCloudFileSystem
from tests.frontdoor.client import jpeg
from tests.origin import Origin
from tests.stack.running import Stack

ROOT = Path(__file__).parents[2]
NAME = "adapter-tests"


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    return stack.cli("token", "add", NAME, "read", "prefetch").split()[-1]


@pytest.fixture
def files(stack: Stack, token: str) -> ImageCloudFileSystem:
    fsspec.register_implementation("imagecloud", ImageCloudFileSystem, clobber=True)
    opened: ImageCloudFileSystem = fsspec.filesystem("imagecloud", urls=[stack.url], token=token)
    return opened


def test_fsspec_reads_pictures(
    files: ImageCloudFileSystem, stack: Stack, token: str, origin: Origin
) -> None:
    original = jpeg(seed=911)
    url = origin.serve("/fs/a.jpg", original) + "?x=1"
    path = f"imagecloud://{url}"
    assert files.cat_file(path) == original
    assert files.cat_file(path, 3, 9) == original[3:9]
    assert files.cat([path, url + "2"]) == {url: original, url + "2": original}
    with fsspec.open(path, urls=[stack.url], token=token) as file:
        assert file.read() == original
    assert files.info(path) == {"name": url, "size": len(original), "type": "file"}
    assert (files.ls(path, detail=False), files.exists(path)) == ([url], True)
    assert token not in f"{files!r} {files!s}"


def test_fsspec_says_what_is_missing(files: ImageCloudFileSystem, origin: Origin) -> None:
    path = f"imagecloud://{origin.url('/fs/nothing.jpg')}"
    assert not files.exists(path)
    with pytest.raises(FileNotFoundError, match="origin_not_found"):
        files.open(path)
    page = origin.serve("/fs/page", b"<!doctype html>", content_type="text/html")
    with pytest.raises(errors.NotAnImage):
        files.cat_file(page)
    with pytest.raises(NotImplementedError):
        files.open(path, "wb")


def test_a_list_for_img2dataset(stack: Stack, token: str, origin: Origin, tmp_path: Path) -> None:
    urls = [
        origin.serve(f"/list/{number}.jpg", jpeg(seed=number)) + "?a=b c&d=é" for number in range(3)
    ]
    (tmp_path / "token").write_text(token + "\n")
    command = [
        sys.executable, "-m", "image_cloud_client.adapters.img2dataset", "--url", stack.url, "--name", NAME,
        "--token-file", str(tmp_path / "token"), "--size", "100",
    ]  # fmt: skip
    text = "\n".join(["", *urls, ""])
    asked = {
        "input": text,
        "capture_output": True,
        "text": True,
        "check": True,
        "cwd": ROOT / "client",
    }
    plain = subprocess.run(command, **asked).stdout  # type: ignore[call-overload]
    assert len(plain.splitlines()) == 3
    for signed in plain.splitlines():
        assert requests.get(signed, timeout=60).headers["Content-Type"] == "image/jpeg"
    both = subprocess.run([*command, "--with-url"], **asked).stdout  # type: ignore[call-overload]
    assert [row["original_url"] for row in csv.DictReader(io.StringIO(both))] == urls
    assert token not in plain + both


def test_the_example(stack: Stack, token: str, origin: Origin, tmp_path: Path) -> None:
    urls = [origin.serve(f"/example/{number}.jpg", jpeg(seed=number)) for number in range(50)]
    urls.append("http://10.0.0.1/forbidden.jpg")
    (tmp_path / "token").write_text(token)
    (tmp_path / "urls").write_text("\n".join(urls))
    ended = subprocess.run(
        [
            sys.executable, ROOT / "client/examples/feed_extractor.py", stack.url, tmp_path / "token",
            tmp_path / "urls",
        ],
        capture_output=True, text=True, check=True, cwd=ROOT / "client", timeout=120,
    )  # fmt: skip
    assert "50 pictures" in ended.stdout
    assert f"{urls[-1]}: url_forbidden" in ended.stdout


def test_pil_reads_what_fsspec_opens(files: ImageCloudFileSystem, origin: Origin) -> None:
    url = origin.serve("/fs/pil.jpg", jpeg(64, 48))
    assert Image.open(files.open(f"imagecloud://{url}")).size == (64, 48)
