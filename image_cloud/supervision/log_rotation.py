"""Rotate nginx's access log: supervisord's event listener `nginx-log`, called once a minute."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from image_cloud.node_files.home import Home
from image_cloud.supervision.listener import answer, events

MAX_BYTES, KEPT = 10_000_000, 5


def main() -> None:
    """Serve supervisord's events until it ends us; stdout belongs to its protocol."""
    home = Home(Path(os.environ["IMAGE_CLOUD_HOME"]))
    for _ in events(sys.stdin, sys.stdout):
        try:
            rotate(home.nginx_log / "access.log", home.nginx_temp / "nginx.pid")
        except (OSError, ValueError) as error:
            print(f"event=rotation_failed error={error}", file=sys.stderr)
        answer(sys.stdout)


def rotate(log: Path, pid_file: Path, *, max_bytes: int = MAX_BYTES, kept: int = KEPT) -> bool:
    """Move a log of `max_bytes` or more aside and have nginx open a new one; say whether it was."""
    if not log.exists() or log.stat().st_size < max_bytes:
        return False
    for number in range(kept - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    log.replace(log.with_name(f"{log.name}.1"))
    os.kill(int(pid_file.read_text()), signal.SIGUSR1)
    return True


if __name__ == "__main__":
    main()
