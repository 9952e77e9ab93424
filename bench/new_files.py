"""What a new file costs, and when that is usual again.

ext4 without a journal passes over the inodes that were deleted in the last minutes, one by one, at each new file
of the same part of the disk.  After a test run, or the end of another bench, that is a quarter of what prefetch
takes: whoever writes files pays for it, and whoever keeps nothing does not.
"""

from __future__ import annotations

import itertools
import os
import statistics
import tempfile
import time
from pathlib import Path

from bench.report import say
from image_cloud.storage.folders import make_folders

FILES = 40
USUAL_S = 30e-6
PAUSE_S, PATIENCE_S = 10.0, 420.0
FOLDERS = ("incoming", "unrecorded", "variants/.incoming")


def await_usual(folder: Path) -> None:
    """Wait until new files of a storage in `folder` cost what they do where nothing was deleted lately.

    Goes on after some minutes, and says so.  What is made for it stays until `folder` goes.
    """
    deadline = time.monotonic() + PATIENCE_S
    root = Path(tempfile.mkdtemp(prefix="new-files-", dir=folder))
    make_folders(root)
    for turn in itertools.count():
        took_s = max(_median_s(root / name, turn) for name in FOLDERS)
        if took_s <= USUAL_S:
            return
        if time.monotonic() > deadline:
            say(f"a new file still takes {took_s * 1e6:.0f} us: going on")
            return
        if not turn:
            say(f"a new file takes {took_s * 1e6:.0f} us, as much was deleted lately: waiting")
        time.sleep(PAUSE_S)


def _median_s(folder: Path, turn: int) -> float:
    took_s = []
    for number in range(FILES):
        began = time.perf_counter()
        os.close(os.open(folder / f"{turn}-{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        took_s.append(time.perf_counter() - began)
    return statistics.median(took_s)
