"""A file that is read again when it has changed, and only then; a broken one is not taken."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from image_cloud.process.reread import RECHECK_S, Reread
from tests.clock import Clock


class File:
    """A file, whoever rereads it, and how often it was read."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "file"
        self.clock = Clock(0.0)
        self.reads = 0
        self.error: OSError | None = None
        self.reread = Reread(self.path, self._read, 0, "test", self.clock)

    def _read(self, path: Path) -> int:
        self.reads += 1
        if self.error:
            raise self.error
        return int(path.read_text())

    def later(self) -> int:
        self.clock.now += RECHECK_S
        return self.reread.current()


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path)


def refusals(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [one for one in caplog.records if "event=test_refused" in one.message]
    assert all(one.levelno == logging.ERROR for one in found)
    return [one.message for one in found]


def test_it_is_read_when_it_has_changed_and_looked_at_once_a_second(file: File) -> None:
    file.path.write_text("1")
    assert [file.reread.current() for _ in range(3)] == [1, 1, 1]
    assert [file.later() for _ in range(3)] == [1, 1, 1]
    assert file.reads == 1
    file.path.write_text("22")
    assert file.reread.current() == 1
    assert file.reread.current(max_age_s=0.0) == 22
    file.path.write_text("333")
    assert file.later() == 333


def test_a_change_that_keeps_time_and_size_is_seen(file: File, tmp_path: Path) -> None:
    file.path.write_text("1")
    os.utime(file.path, (1000, 1000))
    assert file.later() == 1
    (tmp_path / "new").write_text("2")
    os.utime(tmp_path / "new", (1000, 1000))
    (tmp_path / "new").replace(file.path)
    assert file.later() == 2


def test_a_broken_file_is_refused_once_and_again_when_it_changes(
    file: File, caplog: pytest.LogCaptureFixture
) -> None:
    file.path.write_text("1")
    assert file.later() == 1
    file.path.write_text("broken")
    assert [file.later() for _ in range(3)] == [1, 1, 1]
    assert file.reads == 2
    assert len(refusals(caplog)) == 1
    file.path.write_text("still broken")
    assert file.later() == 1
    assert len(refusals(caplog)) == 2
    file.path.write_text("2")
    assert file.later() == 2


def test_without_any_good_one_the_first_value_holds(file: File) -> None:
    assert file.reread.current() == 0
    file.path.write_text("broken")
    assert file.later() == 0


def test_what_cannot_be_read_now_is_tried_again_and_told_once(
    file: File, caplog: pytest.LogCaptureFixture
) -> None:
    file.path.write_text("1")
    file.error = OSError(24, "Too many open files")
    assert [file.later() for _ in range(3)] == [0, 0, 0]
    assert file.reads == 3
    assert len(refusals(caplog)) == 1
    file.error = None
    assert file.later() == 1
