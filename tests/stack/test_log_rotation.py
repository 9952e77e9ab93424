from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from image_cloud.supervision.log_rotation import rotate


@pytest.fixture
def pid_file(tmp_path: Path) -> Path:
    """Our own id stands in for nginx's."""
    file = tmp_path / "nginx.pid"
    file.write_text(f"{os.getpid()}\n")
    return file


def test_a_large_log_is_moved_and_nginx_told(tmp_path: Path, pid_file: Path) -> None:
    told: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: told.append(number))
    log = tmp_path / "access.log"
    try:
        for text in ("one", "two", "three", "four"):
            log.write_text(text)
            assert rotate(str(log), str(pid_file), max_bytes=3, kept=2)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert told == [signal.SIGUSR1] * 4
    assert {path.name: path.read_text() for path in tmp_path.glob("access*")} == {
        "access.log.1": "four",
        "access.log.2": "three",
    }


def test_a_small_or_missing_log_is_left(tmp_path: Path, pid_file: Path) -> None:
    log = tmp_path / "access.log"
    assert not rotate(str(log), str(pid_file))
    log.write_text("short")
    assert not rotate(str(log), str(pid_file))
    assert log.read_text() == "short"
