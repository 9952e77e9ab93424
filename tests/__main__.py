"""`make test`: every test, in two halves side by side, since most of them wait most of the time.

python -m tests [PYTEST ARGUMENT ...]      (arguments: one plain pytest)
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
WAITING = ("cluster", "stack")  # start and stop whole stacks, and take as long as all the others


def main(arguments: list[str]) -> int:
    """Run pytest; return 0 when nothing failed."""
    pytest = [sys.executable, "-m", "pytest"]
    if arguments:
        os.execv(pytest[0], [*pytest, *arguments])
    waiting = [str(FOLDER / name) for name in WAITING]
    others = [f"--ignore={folder}" for folder in waiting]
    with tempfile.TemporaryDirectory(prefix="image-cloud-tests-") as scratch:
        # A folder each: pytest closes the one that all runs of a user share to everybody else.
        halves = [
            [*pytest, f"--basetemp={scratch}/{number}", *which]
            for number, which in enumerate((waiting, others))
        ]
        with open(f"{scratch}/first", "w+b") as output:
            first = subprocess.Popen(halves[0], stdout=output, stderr=output)
            try:
                codes = [subprocess.run(halves[1]).returncode, first.wait()]
            finally:
                first.wait()
                output.seek(0)
                sys.stdout.buffer.write(output.read())
    print("every test passed" if not any(codes) else "tests failed", flush=True)
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
