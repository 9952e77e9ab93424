"""`image-cloud export` and `import` of tars: what goes out comes back, also by way of other tools."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import json
import os
import resource
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from image_cloud.bulk.archive import PART, Archive, Damaged, readable
from image_cloud.bulk.sending import Shrunk
from image_cloud.cli import main
from image_cloud.picture.key import key_of
from image_cloud.picture.record import Record, Tombstone
from tests.storage import new_store
from tests.unit.pictures import quarters, saved

URLS = [f"http://shop.example/{number}.jpg" for number in range(7)]


@pytest.fixture(scope="session")
def jpeg(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return saved(tmp_path_factory.mktemp("jpeg"), quarters(), "jpeg").read_bytes()


class Home:
    """A node whose database is away; the janitor records later what is imported."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.store = new_store(folder / "storage")
        (folder / "image_cloud.ini").write_text("[database]\ndsn = host=/nonexistent\n")

    def put(self, url: str, content: bytes, *, private: bool = False, **more: Any) -> Record:
        sha256 = hashlib.sha256(content).hexdigest()
        values: dict[str, Any] = {
            "key": key_of(url), "url": url, "host": "shop.example", "format": "jpeg", "width": 40,
            "height": 30, "bytes": len(content), "sha256": sha256, "stored_at": 1000.25,
            "stored_from": "origin",
        }  # fmt: skip
        record = Record(**values | more)
        with self.store.originals.new_file() as file:
            file.write(content)
            self.store.place(file, record, is_private=private, lasts=False)
        self.store.records.settle(record)
        return record

    def run(self, *words: object) -> int:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("IMAGE_CLOUD_HOME", str(self.folder))
            return main(["--config", str(self.folder / "image_cloud.ini"), *map(str, words)])

    def piped(self, *words: str, to: BinaryIO) -> subprocess.CompletedProcess[str]:
        """Run a command whose standard output is a file."""
        script = "from image_cloud.cli import main; raise SystemExit(main())"
        command = [
            sys.executable,
            "-c",
            script,
            "--config",
            self.folder / "image_cloud.ini",
            *words,
        ]
        environment = {**os.environ, "IMAGE_CLOUD_HOME": str(self.folder)}
        return subprocess.run(
            command, stdout=to, stderr=subprocess.PIPE, check=False, text=True, env=environment
        )

    def content(self, url: str) -> bytes | None:
        original = self.store.originals.find(key_of(url))
        return self.store.originals.path(original).read_bytes() if original else None

    def record(self, url: str) -> Record | None:
        return self.store.records.find(key_of(url))


@pytest.fixture
def home(tmp_path: Path, jpeg: bytes) -> Home:
    """A node with some pictures."""
    home = Home(tmp_path / "one")
    for number, url in enumerate(URLS):
        home.put(url, jpeg + bytes(number), etag=f'"{number}"', final_key=key_of(url))
    return home


@pytest.fixture
def other(tmp_path: Path) -> Home:
    """An empty node."""
    return Home(tmp_path / "two")


def members(*paths: Path) -> list[tuple[str, bytes]]:
    found = []
    for path in paths:
        with tarfile.open(path) as tar:
            found += [(one.name, tar.extractfile(one).read()) for one in tar]  # type: ignore[union-attr]
    return found


def write(path: Path, *files: tuple[str, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as tar:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), 500
            tar.addfile(member, io.BytesIO(content))
    return path


def told(url: str, **more: Any) -> bytes:
    return json.dumps({"url": url, **more}).encode()


def test_an_export_is_a_webdataset_in_the_order_of_keys(home: Home, tmp_path: Path) -> None:
    assert home.run("export", tmp_path / "store.tar") == 0
    found = members(tmp_path / "store.tar")
    keys = sorted(map(key_of, URLS))
    assert [name for name, _ in found] == [f"{k}.{end}" for k in keys for end in ("json", "jpg")]
    for (_, text), (name, content) in zip(found[::2], found[1::2], strict=True):
        said = json.loads(text)
        assert said["url"] in URLS
        assert name.startswith(said["key"])
        assert hashlib.sha256(content).hexdigest() == said["sha256"]
    assert not list(tmp_path.glob(f"*{PART}"))


def test_what_was_exported_comes_back_as_it_was(home: Home, other: Home, tmp_path: Path) -> None:
    cut = home.content(URLS[0])[:-40]  # type: ignore[index]
    home.put("http://shop.example/cut.jpg", cut)  # its server said that it is no longer
    home.put("http://shop.example/private.jpg", cut, private=True)
    assert home.run("export", tmp_path / "store.tar") == 0
    assert other.run("import", tmp_path / "store.tar") == 0
    for url in (*URLS, "http://shop.example/cut.jpg", "http://shop.example/private.jpg"):
        before, after = home.record(url), other.record(url)
        assert before
        assert after
        assert other.content(url) == home.content(url)
        assert vars(after) | {"stored_from": "", "width": 0, "height": 0} == vars(before) | {
            "stored_from": "", "width": 0, "height": 0,
        }  # fmt: skip
    original = other.store.originals.find(key_of("http://shop.example/private.jpg"))
    assert original
    assert original.is_private


@pytest.mark.parametrize("form", ["gnu", "pax", "ustar", "v7"])
def test_other_tools_may_pack_it_again(home: Home, other: Home, tmp_path: Path, form: str) -> None:
    """They sort the picture before its JSON, and add folders."""
    home.run("export", tmp_path / "store.tar")
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xf", tmp_path / "store.tar", "-C", tmp_path / "out"], check=True)
    packed = ["tar", f"--format={form}", "--sort=name", "-cf", tmp_path / "again.tar", "."]
    subprocess.run(packed, cwd=tmp_path / "out", check=True)
    assert other.run("import", tmp_path / "again.tar") == 0
    assert [other.content(url) for url in URLS] == [home.content(url) for url in URLS]


def test_shards_are_of_about_the_size_that_was_asked_for(
    home: Home, other: Home, tmp_path: Path
) -> None:
    assert home.run("export", tmp_path / "store.tar", "--shard-size", "4kB") == 0
    shards = sorted(tmp_path.glob("store-*.tar"))
    assert [path.name for path in shards[:2]] == ["store-000000.tar", "store-000001.tar"]
    assert len(members(*shards)) == 2 * len(URLS)
    assert other.run("import", *shards) == 0
    assert all(map(other.content, URLS))


@pytest.mark.parametrize("shards", [[], ["--shard-size", "4kB"]])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.95])
def test_an_export_goes_on_where_it_was_broken_off(
    home: Home, tmp_path: Path, shards: list[str], share: float
) -> None:
    home.run("export", tmp_path / "store.tar", *shards)
    whole = sorted(tmp_path.glob("store*.tar"))
    expected, last = members(*whole), whole[-1]
    part = last.with_name(last.name + PART)
    part.write_bytes(last.read_bytes()[: int(last.stat().st_size * share)])
    last.unlink()
    assert home.run("export", tmp_path / "store.tar", *shards) == 0
    assert members(*sorted(tmp_path.glob("store*.tar"))) == expected
    assert not part.exists()


def test_an_export_that_finds_no_room_says_where_and_goes_on_later(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "all.tar"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        assert home.run("export", path) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert f"{path}: {os.strerror(errno.EFBIG)}" in capsys.readouterr().err
    assert home.run("export", path) == 0
    assert len(members(path)) == 2 * len(URLS)


def test_an_export_to_standard_output_that_is_full_does_not_go_on_by_itself(home: Home) -> None:
    with open("/dev/full", "wb") as full:
        ended = home.piped("export", "-", to=full)
    assert ended.returncode == 1
    assert f"standard output: {os.strerror(errno.ENOSPC)}; --after KEY" in ended.stderr


def test_an_export_that_is_whole_is_not_written_over(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.run("export", tmp_path / "store.tar")
    before = (tmp_path / "store.tar").read_bytes()
    assert home.run("export", tmp_path / "store.tar") == 2
    assert "there already" in capsys.readouterr().err
    assert (tmp_path / "store.tar").read_bytes() == before
    assert home.run("export", tmp_path / "other.tar", "--shard-size", "1GB") == 0
    assert home.run("export", tmp_path / "other.tar", "--shard-size", "1GB") == 0
    assert [path.name for path in tmp_path.glob("other*")] == ["other-000000.tar"]


def test_an_export_to_a_pipe_is_imported_from_one(home: Home, other: Home) -> None:
    def command(node: Home, *words: str, **how: Any) -> Any:
        call = "from image_cloud.cli import main; import sys; sys.exit(main())"
        ini = str(node.folder / "image_cloud.ini")
        return subprocess.run(
            [sys.executable, "-c", call, "--config", ini, *words],
            env={**os.environ, "IMAGE_CLOUD_HOME": str(node.folder)},
            check=True, capture_output=True, timeout=60, **how,
        )  # fmt: skip

    keys = sorted(map(key_of, URLS))
    exported = command(home, "export", "-", "--after", keys[2])
    assert json.loads(command(home, "export", "-", "--json").stderr)["exported"] == len(URLS)
    came = command(other, "import", "-", "--json", input=exported.stdout)
    assert json.loads(came.stdout)["counts"] == {"imported": len(URLS) - 3}


@pytest.mark.parametrize("damage", ["flipped", "shorter", "without record"])
def test_a_damaged_picture_is_told_and_left_out(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    key = key_of(URLS[3])
    original = home.store.originals.find(key)
    assert original
    path = home.store.originals.path(original)
    if damage == "flipped":
        path.write_bytes(b"\xff\xd8\xfe" + path.read_bytes()[3:])
    elif damage == "shorter":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        home.store.records.remove(key)
    assert home.run("export", tmp_path / "store.tar", "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert said["exported"] == len(URLS) - 1
    assert [one["key"] for one in said["not_exported"]] == [key]
    assert key not in {name.partition(".")[0] for name, _ in members(tmp_path / "store.tar")}
    with open(tmp_path / "pipe.tar", "wb") as pipe:
        ended = home.piped("export", "-", to=pipe)
    assert (ended.returncode, key in ended.stderr) == (1, True)
    assert members(tmp_path / "pipe.tar") == members(tmp_path / "store.tar")


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), Shrunk("x")])
def test_a_picture_that_does_not_read_is_told_and_left_out(
    error: Exception, home: Home, tmp_path: Path
) -> None:
    def failing() -> Iterator[bytes]:
        yield b"x" * 512
        raise error

    archive = Archive(tmp_path / "store.tar")
    with archive, pytest.raises(Damaged):
        archive.add(readable(failing()))
    assert archive.size == 0


def test_deletes_win_over_an_import_and_newer_stores_stay(
    home: Home, other: Home, tmp_path: Path, jpeg: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    home.run("export", tmp_path / "store.tar")
    other.store.bury(Tombstone(key_of(URLS[0]), URLS[0], 2000.0), now=9e9)
    other.store.bury(Tombstone(key_of(URLS[1]), URLS[1], 1.0, blocked=True), now=9e9)
    other.store.bury(Tombstone(key_of(URLS[2]), URLS[2], 500.0), now=9e9)
    other.put(URLS[3], jpeg + b"newer", stored_at=2000.0)
    other.put(URLS[4], jpeg + b"older", stored_at=500.0)
    capsys.readouterr()
    assert other.run("import", tmp_path / "store.tar", "--json") == 0
    counts = json.loads(capsys.readouterr().out)["counts"]
    assert counts == {"imported": 4, "already here": 1, "deleted before": 2}
    assert [other.content(url) is None for url in URLS] == [True, True, *[False] * 5]
    assert other.content(URLS[3]) == jpeg + b"newer"
    assert other.content(URLS[4]) == home.content(URLS[4])
    assert other.run("import", tmp_path / "store.tar") == 0


def test_a_tar_of_another_tool_is_judged_like_a_download(
    other: Home, tmp_path: Path, jpeg: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    good = {f"http://shop.example/good{number}.jpg": number for number in range(3)}
    path = write(
        tmp_path / "foreign.tar",
        ("shard/a.jpeg", jpeg), ("shard/a.json", told("http://shop.example/good0.jpg")),
        ("shard/a.txt", b"a caption"), ("shard/a.cls", b"7"),
        ("b.json", told("http://shop.example/good1.jpg", stored_at=3e9)), ("b.seg.png", jpeg),
        ("b.JPG", jpeg),
        ("x" * 200 + ".jpg", jpeg), ("x" * 200 + ".json", told("http://shop.example/good2.jpg")),
        ("no url.jpg", jpeg), ("no url.json", b"{}"),
        ("no json.jpg", jpeg), ("no picture.json", told(URLS[0])),
        ("html.jpg", b"<html>" * 20), ("html.json", told(URLS[0])),
        ("cut.jpg", jpeg[:-40]), ("cut.json", told(URLS[0])),
        ("hash.jpg", jpeg), ("hash.json", told(URLS[0], sha256="0" * 64)),
        ("key.jpg", jpeg), ("key.json", told(URLS[0], key=key_of(URLS[1]))),
        ("README", b"what this is"), ("LICENSE.txt", b"whose this is"),
        ("broken.jpg", jpeg), ("broken.json", b"{"),
        ("list.jpg", jpeg), ("list.json", b"[1]"),
        ("scheme.jpg", jpeg), ("scheme.json", told("file:///etc/passwd")),
        ("time.jpg", jpeg), ("time.json", told(URLS[0], stored_at="now")),
        ("number.jpg", jpeg), ("number.json", told(URLS[0], sha256=5)),
    )  # fmt: skip
    assert other.run("import", path, "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert said["counts"] == {"imported": 3, "not taken": 12}
    names = [one["url"] for one in said["not_taken"]]
    assert names[:3] == ["no url", "no json", "no picture"]
    assert all(other.content(url) == jpeg for url in good)
    assert other.content(URLS[0]) is None
    first, second = (other.record(url) for url in list(good)[:2])
    assert first
    assert second
    assert (first.stored_at, first.stored_from, first.width) == (500.0, "import", 160)
    assert second.stored_at <= time.time()


def test_a_shard_of_img2dataset_is_taken(other: Home, tmp_path: Path, jpeg: bytes) -> None:
    about = {
        "key": "000000007",
        "caption": "a dress",
        "status": "success",
        "exif": "{}",
        "width": 40,
    }
    sha256 = hashlib.sha256(jpeg).hexdigest().upper()
    path = write(
        tmp_path / "00000.tar",
        ("000000007.jpg", jpeg), ("000000007.txt", b"a dress"),
        ("000000007.json", told(URLS[0], sha256=sha256, **about)),
    )  # fmt: skip
    assert other.run("import", path) == 0
    assert other.content(URLS[0]) == jpeg


def test_links_and_folders_have_no_bytes(other: Home, tmp_path: Path, jpeg: bytes) -> None:
    path = write(tmp_path / "links.tar", ("a.json", told(URLS[0])), ("a.jpg", jpeg))
    links = b""
    for kind in (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE):
        member = tarfile.TarInfo("b.jpg")
        member.type, member.size, member.linkname = kind, 99_999, "/etc/passwd"
        links += member.tobuf()
    path.write_bytes(links + path.read_bytes())
    assert other.run("import", path) == 0
    assert other.content(URLS[0]) == jpeg


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (gzip.compress(bytes(10_240), mtime=0), 2, "is compressed: unpack it"),
        (b"a.jpg" + b"\0" * 600, 1, "not a tar"),
    ],
)
def test_what_is_neither_tar_nor_list_is_told(
    other: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    content: bytes, status: int, said: str,
) -> None:  # fmt: skip
    (tmp_path / "store.tar").write_bytes(content)
    assert other.run("import", tmp_path / "store.tar") == status
    out, error = capsys.readouterr()
    assert said in out + error


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body[: len(body) // 2],
        lambda body: body[:700],
        lambda body: body[:1024] + b"x" * 512 + body[1536:],
        lambda body: body[: 1024 + 124] + b"\xff" * 12 + body[1024 + 136 :],
    ],
)
def test_a_tar_that_is_broken_is_told_and_taken_so_far(
    home: Home, other: Home, tmp_path: Path, spoil: Callable[[bytes], bytes],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    home.run("export", tmp_path / "store.tar")
    body = (tmp_path / "store.tar").read_bytes()
    (tmp_path / "store.tar").write_bytes(spoil(body))
    capsys.readouterr()
    assert other.run("import", tmp_path / "store.tar", "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert said["not_taken"][-1]["url"] == str(tmp_path / "store.tar")
    assert said["counts"].get("imported", 0) == sum(map(bool, map(other.content, URLS)))


def test_a_name_of_impossible_length_takes_no_memory(other: Home, tmp_path: Path) -> None:
    member = tarfile.TarInfo("long")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 10**12
    (tmp_path / "long.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    assert other.run("import", tmp_path / "long.tar") == 1


def test_lists_and_tars_are_not_mixed(home: Home, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("")
    assert home.run("import", tmp_path / "list", tmp_path / "list") == 2
    assert home.run("export", "-", "--shard-size", "1GB") == 2
    assert home.run("export", tmp_path / "a.tar", "--shard-size", "1") == 2
    assert home.run("export", tmp_path / "a.tar", "--after", "x") == 2
    assert not list(tmp_path.glob("a*"))


def test_an_empty_store_is_an_empty_tar(other: Home, tmp_path: Path) -> None:
    assert other.run("export", tmp_path / "empty.tar") == 0
    assert members(tmp_path / "empty.tar") == []
    assert other.run("import", tmp_path / "empty.tar") == 0
