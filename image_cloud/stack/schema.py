"""Wait for the stack's PostgreSQL and bring its tables up to date.

A process of its own, so that it runs as the stack's user and not as whoever started the stack.
"""

from __future__ import annotations

import sys
import time

from image_cloud.config import config_from_environment
from image_cloud.db.connect import Database
from image_cloud.db.migrate import migrate
from image_cloud.errors import DatabaseUnavailable

PATIENCE_S, POLL_S = 30.0, 0.1


def main() -> int:
    """Migrate as soon as the server answers; after PATIENCE_S say why it does not."""
    database = Database(config_from_environment().database)
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            migrate(database)
            return 0
        except DatabaseUnavailable as error:
            if time.monotonic() > deadline:
                print(error.__cause__ or error.detail, file=sys.stderr)
                return 1
        time.sleep(POLL_S)


if __name__ == "__main__":
    sys.exit(main())
