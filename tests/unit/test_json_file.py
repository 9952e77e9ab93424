"""State files: replaced whole or not at all; hostile ones count as missing, at once and at no cost."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from image_cloud.process import json_file


@dataclasses.dataclass(frozen=True)
class State:
    name: str
    until: float
    count: int = 0
    status: int | None = None
    tags: tuple[str, ...] = ()


STATE = State("a", 1.5, 2, 404, ("x", "y"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


# --- writing ---


def test_what_was_written_is_read(path: Path) -> None:
    json_file.write(path, STATE)
    assert json_file.read(path, State) == STATE
    json_file.write(path, [STATE, STATE])
    assert json_file.read(path, list[State]) == [STATE, STATE]
    json_file.write(path, {"ic01": 1, "ic02": 2.5})
    assert json_file.read(path, dict[str, float]) == {"ic01": 1.0, "ic02": 2.5}


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_mode_is_what_was_asked_for(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        json_file.write(path, STATE, mode=0o660)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_a_reader_never_sees_a_part(path: Path) -> None:
    contents = [["x" * size] for size in (10, 100_000)]
    json_file.write(path, contents[0])
    ended = threading.Event()

    def write() -> None:
        for number in range(200):
            json_file.write(path, contents[number % 2])
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not ended.is_set():
        assert json.loads(path.read_bytes()) in contents
    writer.join()


def test_a_disk_that_is_full_leaves_the_old_file_and_no_other(path: Path) -> None:
    json_file.write(path, STATE)
    code = (
        "import resource, signal; from image_cloud.process import json_file\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        f"json_file.write({str(path)!r}, ['x' * 5000])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "OSError: [Errno 27]" in done.stderr
    assert json_file.read(path, State) == STATE
    assert names(path.parent) == ["state.json"]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), object(), {1, 2}])
def test_what_cannot_be_written_leaves_no_trace(path: Path, wrong: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        json_file.write(path, {"a": wrong})
    assert names(path.parent) == []


def test_a_link_is_replaced_and_not_followed(path: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    path.symlink_to(tmp_path / "secret")
    json_file.write(path, STATE)
    assert (tmp_path / "secret").read_text() == "secret"
    assert not path.is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_root_writes_stays_its_owner_s(path: Path) -> None:
    os.chown(path.parent, 12345, 12346)
    json_file.write(path, STATE)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)
    os.chown(path, 11111, 11112)
    json_file.write(path, STATE)
    assert (path.stat().st_uid, path.stat().st_gid) == (11111, 11112)


def test_files_on_their_way_have_names_of_their_own(path: Path) -> None:
    assert json_file.is_temporary(".state.json.0123456789abcdef.new")
    for name in ("state.json", ".slots", ".placing", ".state.json.new"):
        assert not json_file.is_temporary(name)


# --- reading ---


def test_what_a_newer_version_writes_on_top_is_passed_over(path: Path) -> None:
    path.write_text('{"name": "a", "until": 2, "colour": [1]}')
    assert json_file.read(path, State) == State("a", 2.0)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "null", "3", "[]", '"text"', "[{}]", "{}", '{"name": "a"}',
        '{"name": 1, "until": 1}', '{"name": null, "until": 1}', '{"name": "a", "until": "1"}',
        '{"name": "a", "until": true}', '{"name": "a", "until": [1]}',
        '{"name": "a", "until": 1, "count": 1.5}', '{"name": "a", "until": 1, "status": {}}',
        '{"name": "a", "until": 1, "tags": "xy"}', '{"name": "a", "until": 1, "tags": [1]}',
        '{"name": "a", "until": NaN}', '{"name": "a", "until": Infinity}',
        '{"name": "a", "until": -Infinity}', '{"name": "a", "until": 1e999}',
        '{"name": "a", "until": 1' + "0" * 5000 + "}",
        '{"name": "a", "until": 1, "count": ' + "9" * 30 + "}",
        '{"name": "\\ud800", "until": 1}', '{"name": "a", "until": 1, "tags": ["\\udfff"]}',
        '{"name": "a", "until": ' + "[" * 100_000 + "}", "[" * 500_000,
        '{"name": "a", "until": 1, "x": ' + '{"a":' * 100_000,
    ],
)  # fmt: skip
def test_any_other_content_is_none(path: Path, text: str) -> None:
    path.write_text(text)
    assert json_file.read(path, State) is None


@pytest.mark.parametrize("content", [b"\xff\xfe{\0}\0", b"\x80", b"\0" * 100])
def test_any_other_bytes_are_none(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert json_file.read(path, State) is None


def test_a_huge_file_costs_nothing(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert json_file.read(path, State) is None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


def fifo(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    json_file.write(path.with_name("other"), STATE)
    path.symlink_to("other")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def real_device(path: Path) -> None:
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))


def folder(path: Path) -> None:
    path.mkdir()


def socket_file(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)


@pytest.mark.parametrize("make", [fifo, link, loop, device, real_device, folder, socket_file])
def test_what_is_no_file_is_none_at_once(path: Path, make: Any) -> None:
    try:
        make(path)
    except PermissionError:
        pytest.skip("needs root")
    found: list[State | None] = []
    reader = threading.Thread(target=lambda: found.append(json_file.read(path, State)), daemon=True)
    reader.start()
    reader.join(60)
    assert found == [None]


def test_a_file_of_an_operator_may_be_a_link_and_its_faults_are_told(path: Path) -> None:
    link(path)
    assert json_file.load(path, State) == STATE
    path.with_name("other").write_text('{"name": "a"}')
    with pytest.raises(ValueError, match="not a State"):
        json_file.load(path, State)
    path.with_name("other").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="nested too deeply"):
        json_file.load(path, State)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        json_file.load(path, State)
