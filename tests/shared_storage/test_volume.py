"""The volume that the other tests stand on: it is what it says, and nothing of it is left."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from pathlib import Path

import pytest

from tests.cluster.nodes import eventually
from tests.shared_storage.mount import Mount
from tests.shared_storage.volume import Volume, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


def test_a_volume_outlives_a_brick_and_ends_without_a_trace(tmp_path: Path) -> None:
    with Volume(tmp_path) as volume:
        one, other = volume.mount("one"), volume.mount("other")
        (one.path / "a").write_text("a")
        assert (other.path / "a").read_text() == "a"
        volume.kill_bricks(2)
        (one.path / "b").write_text("b")
        assert not (tmp_path / "host2/brick/b").exists()
        volume.start_bricks(2)
        volume.await_healed()
        assert (tmp_path / "host2/brick/b").read_text() == "b"
        _break_without_quorum(volume, one)
        _break_the_mount(one, other)
    mark = str(tmp_path)
    assert mark not in Path("/proc/self/mounts").read_text()
    assert mark not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout


def _break_without_quorum(volume: Volume, mount: Mount) -> None:
    volume.kill_bricks(1, 2)
    eventually(lambda: _error(mount.path / "c") in (errno.ENOTCONN, errno.EROFS), "no quorum")
    volume.start_bricks(1, 2)
    eventually(lambda: _error(mount.path / "c") == 0, "quorum again")


def _break_the_mount(one: Mount, other: Mount) -> None:
    one.kill()
    assert _error(one.path / "d") == errno.ENOTCONN
    one.unmount()
    assert not os.path.ismount(one.path)
    one.mount()
    assert _error(one.path / "d") == 0
    other.pause()
    reader = threading.Thread(target=(other.path / "a").read_text)
    reader.start()
    reader.join(0.5)
    assert reader.is_alive()
    other.resume()
    reader.join(30)
    assert not reader.is_alive()


def _error(path: Path) -> int:
    """Write a file; return the number of the error, 0 without one."""
    try:
        path.write_text("x")
    except OSError as error:
        return error.errno or -1
    return 0
