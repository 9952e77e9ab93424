"""Wait until every pool answers: what a host's nginx does before it starts (ansible/roles/nginx).

Where they do not in time, nginx starts all the same: stored pictures need no pool.
"""

from __future__ import annotations

import sys
import time

from image_cloud.config import config_from_environment
from image_cloud.host.rollout import ANSWER_S
from image_cloud.process.sockets import SERVERS, socket_path
from image_cloud.process.unix_get import answers

PATIENCE_S, POLL_S = 60.0, 0.2


def main() -> int:
    """Return 0 once all answer, 1 after PATIENCE_S."""
    run = config_from_environment().node.run
    deadline = time.monotonic() + PATIENCE_S
    while away := [one for one in SERVERS if not answers(socket_path(run, one), ANSWER_S)]:
        if time.monotonic() > deadline:
            print(f"these pools do not answer: {', '.join(away)}", file=sys.stderr)
            return 1
        time.sleep(POLL_S)
    return 0


if __name__ == "__main__":
    sys.exit(main())
