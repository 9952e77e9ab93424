"""`make test`: every test, in several runs of pytest side by side, since most tests wait most of the time.

python -m tests [PYTEST ARGUMENT ...]      (arguments: one plain pytest)

Each run has its own stack.  Its output is printed when it ends, and at the end how long each took.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import IO

from image_cloud.process.cores import cores

FOLDER = Path(__file__).parent
PYTEST = (sys.executable, "-m", "pytest")
AT_ONCE = 2 * cores()
LONGEST_S = 3600
RUNS = (
    "cluster/test_*.py",
    "frontdoor/test_[h-z]*.py",
    "stack/test_*.py",
    "nginx/test_*.py",
    "prefetch/test_*.py",
    "frontdoor/test_[a-g]*.py",
    "shared_storage/test_*.py",
    "pages/test_*.py",
    "integration/**/test_*.py",
    "unit/test_*.py",
    "corpus/test_*.py",
)
REST = "**/test_*.py"
"""Which tests run together, the longest first; what none of these names is the last run."""


@dataclasses.dataclass
class Run:
    """One run of pytest over `files`."""

    name: str
    files: list[str]
    output: str = ""
    seconds: float = 0.0
    code: int = 0

    def __call__(self, basetemp: str) -> Run:
        """Do it; return itself, with what came of it."""
        began = time.monotonic()
        # A file: a process that a test left behind would hold a pipe open.
        with open(f"{basetemp}.output", "w+b") as output:
            self.code = self._pytest(basetemp, output)
            output.seek(0)
            self.output = output.read().decode(errors="replace")
        self.seconds = time.monotonic() - began
        return self

    def _pytest(self, basetemp: str, output: IO[bytes]) -> int:
        command = [*PYTEST, f"--basetemp={basetemp}", *self.files]
        try:
            return subprocess.run(
                command, stdout=output, stderr=output, timeout=LONGEST_S
            ).returncode
        except subprocess.TimeoutExpired:
            output.write(f"\ntests/{self.name} took longer than {LONGEST_S} s\n".encode())
            return 1

    def __str__(self) -> str:
        return f"{self.seconds:5.0f} s  {'failed' if self.code else 'passed'}  tests/{self.name}"


def main(arguments: list[str]) -> int:
    """Run pytest; return 0 when nothing failed."""
    if arguments:
        os.execv(PYTEST[0], [*PYTEST, *arguments])
    began, runs = time.monotonic(), planned()
    for done in side_by_side(runs, AT_ONCE):
        print(done.output, done, sep="", flush=True)
    print(*runs, f"{time.monotonic() - began:5.0f} s  in all", sep="\n")
    failed = any(run.code for run in runs)
    print("tests failed" if failed else "every test passed", flush=True)
    return int(failed)


def planned() -> list[Run]:
    """Return the runs; every file is in one."""
    left = {str(path) for path in FOLDER.rglob("test_*.py")}
    runs = []
    for pattern in (*RUNS, REST):
        files = left & {str(path) for path in FOLDER.glob(pattern)}
        left -= files
        runs.append(Run(pattern, sorted(files)))
    return [run for run in runs if run.files]


def side_by_side(runs: list[Run], at_once: int) -> Iterator[Run]:
    """Do `at_once` of the runs at a time; yield each when it has ended."""
    with (
        tempfile.TemporaryDirectory(prefix="image-cloud-tests-") as scratch,
        ThreadPoolExecutor(at_once) as threads,
    ):
        # A folder each: pytest closes the one that all runs of a user share to everybody else.
        started = [threads.submit(run, f"{scratch}/{n}") for n, run in enumerate(runs)]
        for future in as_completed(started):
            yield future.result()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
