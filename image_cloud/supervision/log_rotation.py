"""Rotate nginx's access log: supervisord's event listener `nginx-log`, called once a minute.

It runs all the time for little: os alone, as pathlib would take half as much memory again.
"""

from __future__ import annotations

import os
import signal
import sys

from image_cloud.supervision.listener import answer, events

MAX_BYTES, KEPT = 10_000_000, 5


def main() -> None:
    """Serve supervisord's events until it ends us; stdout belongs to its protocol.

    The arguments are the log's path and that of the file with nginx's process id.
    """
    log, pid_file = sys.argv[1:]
    for _ in events(sys.stdin, sys.stdout):
        try:
            rotate(log, pid_file)
        except (OSError, ValueError) as error:
            _tell(error)
        answer(sys.stdout)


def rotate(log: str, pid_file: str, *, max_bytes: int = MAX_BYTES, kept: int = KEPT) -> bool:
    """Move a log of `max_bytes` or more aside and have nginx open a new one; say whether it was."""
    if not os.path.exists(log) or os.stat(log).st_size < max_bytes:
        return False
    for number in range(kept - 1, 0, -1):
        if os.path.exists(f"{log}.{number}"):
            os.rename(f"{log}.{number}", f"{log}.{number + 1}")
    os.rename(log, f"{log}.1")
    with open(pid_file, encoding="ascii") as file:
        os.kill(int(file.read()), signal.SIGUSR1)
    return True


def _tell(error: Exception) -> None:
    """Log why nothing was rotated; what that needs is loaded only here."""
    import logging

    from image_cloud.config import config_from_environment
    from image_cloud.process.logs import set_up_logging

    node = config_from_environment().node
    set_up_logging(node.log_level, node.log_format)
    logging.getLogger(__name__).error("event=rotation_failed reason=%r", str(error))


if __name__ == "__main__":
    main()
