"""A worker process that may die: ask it, and start another when it did."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 60.0


class Sandbox:
    """One `tests.corpus.worker`, restarted after each death."""

    def __init__(self) -> None:
        self._worker: subprocess.Popen[str] | None = None

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return the worker's answer, or how it died."""
        worker = self._worker or self._started()
        assert worker.stdin
        assert worker.stdout
        worker.stdin.write(json.dumps(job) + "\n")
        worker.stdin.flush()
        ready, _, _ = select.select([worker.stdout], [], [], DEADLINE_S)
        line = worker.stdout.readline() if ready else ""
        if line:
            return dict(json.loads(line))
        self.close()
        return {"outcome": "died" if ready else "hung", "why": f"status {worker.returncode}"}

    def close(self) -> None:
        if self._worker:
            self._worker.kill()
            self._worker.communicate()
        self._worker = None

    def _started(self) -> subprocess.Popen[str]:
        self._worker = subprocess.Popen(
            [sys.executable, "-m", "tests.corpus.worker"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        return self._worker
