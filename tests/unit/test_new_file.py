from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from image_cloud.storage.new_file import FoundFile, NewFile, sync_together

MODE, FOLDER_MODE = 0o640, 0o750


@pytest.fixture(params=["without a name", "named"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a file system that knows files without a name, and of one that does not."""
    if request.param == "named":
        real = os.open

        def names_only(path: str, flags: int, *arguments: int) -> int:
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(errno.EOPNOTSUPP, "Operation not supported")
            return real(path, flags, *arguments)

        monkeypatch.setattr(os, "open", names_only)
    (tmp_path / "incoming").mkdir()
    return tmp_path / "incoming"


def tree(folder: Path) -> dict[str, bytes]:
    """Return what lies beside `folder` and in it."""
    root = folder.parent
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_it_appears_whole_in_a_folder_that_is_made(folder: Path) -> None:
    target = folder.parent / "a/b/picture"
    with NewFile(os.fspath(folder), MODE) as file:
        file.write(b"ab")
        file.write(b"c")
        file.sync()
        assert not target.exists()
        file.place(os.fspath(target), FOLDER_MODE)
    assert tree(folder) == {"a/b/picture": b"abc"}
    assert (target.stat().st_mode & 0o777, target.stat().st_nlink) == (MODE, 1)


def test_what_is_not_placed_is_gone(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), NewFile(os.fspath(folder), MODE) as file:
        file.write(b"abc")
        raise ZeroDivisionError
    assert tree(folder) == {}


def test_it_takes_over_a_name(folder: Path) -> None:
    target = folder.parent / "picture"
    target.write_bytes(b"old")
    with open(target, "rb") as reader, NewFile(os.fspath(folder), MODE) as file:
        file.write(b"new")
        file.place(os.fspath(target), FOLDER_MODE)
        assert reader.read() == b"old"
    assert tree(folder) == {"picture": b"new"}


def test_a_folder_in_its_place_stays_and_nothing_else(folder: Path) -> None:
    target = folder.parent / "picture"
    target.mkdir()
    with NewFile(os.fspath(folder), MODE) as file:
        file.write(b"abc")
        with pytest.raises(IsADirectoryError):
            file.place(os.fspath(target), FOLDER_MODE)
    assert tree(folder) == {}
    assert target.is_dir()


def test_files_that_come_together(folder: Path) -> None:
    with NewFile(os.fspath(folder), MODE) as one, NewFile(os.fspath(folder), MODE) as other:
        one.write(b"1")
        other.write(b"2")
        sync_together(one, other)
        one.place(f"{folder.parent}/one", FOLDER_MODE)
        other.place(f"{folder.parent}/other", FOLDER_MODE)
    assert tree(folder) == {"one": b"1", "other": b"2"}


def test_a_disk_that_does_not_take_one_of_them(folder: Path) -> None:
    pipe = os.pipe()
    with NewFile(os.fspath(folder), MODE) as one, NewFile(os.fspath(folder), MODE) as other:
        os.dup2(pipe[0], other.descriptor)  # nothing that could be synced
        with pytest.raises(OSError, match=r"Illegal seek|Invalid argument"):
            sync_together(one, other)
    assert tree(folder) == {}
    for descriptor in pipe:
        os.close(descriptor)


def test_a_file_that_was_found_stays_or_moves(folder: Path) -> None:
    (folder / "found").write_bytes(b"abc")
    with FoundFile(folder / "found") as file:
        file.sync()
    assert tree(folder) == {"incoming/found": b"abc"}
    with FoundFile(folder / "found") as file:
        file.place(f"{folder.parent}/picture", FOLDER_MODE)
    assert tree(folder) == {"picture": b"abc"}
