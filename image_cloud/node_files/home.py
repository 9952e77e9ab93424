"""The home folder of one stack: where everything stands that it writes."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path

from image_cloud.node_files.errors import CannotStart

LONGEST_SOCKET_PATH = 107  # bytes; Linux, sun_path without its closing zero
LONGEST_SOCKET = "run/postgres/.s.PGSQL.5436"


@dataclasses.dataclass(frozen=True)
class Home:
    """All paths of one stack; `root` is absolute and free of characters that nginx would split.

    PATHS lists them.
    """

    root: Path

    def __getattr__(self, name: str) -> Path:
        try:
            return self.root / PATHS[name]
        except KeyError:
            raise AttributeError(name) from None


PATHS = {
    # what a person may look at and edit
    "ini": "image_cloud.ini",
    "limits": "max_downloads.json",
    "origins": "origins.json",
    "token": "token",
    "log": "log",
    "nginx_log": "log/nginx",
    # what lasts
    "postgres": "postgres",
    "history": "history",
    "sample": "sample",
    "sample_origin": "sample_origin",
    # generated at every start
    "run": "run",
    "config": "run/image_cloud.ini",
    "supervisord_conf": "run/supervisord.conf",
    "supervisor_sock": "run/supervisor.sock",
    "supervisord_pid": "run/supervisord.pid",
    "programs": "run/supervisor.d",
    "nginx": "run/nginx",
    "nginx_temp": "run/nginx/temp",
    "sockets": "run/sockets",
    "pools": "run/pools",
    "beats": "run/beats",
    "metrics": "run/metrics",
    "decoder_config": "run/decoder.ini",
    "postgres_run": "run/postgres",
}


def from_environment(environment: Mapping[str, str], checkout: Path) -> Home:
    """Return the home that IMAGE_CLOUD_HOME names, `var/` in the checkout without it.

    Raises CannotStart for a path that sockets or configuration files cannot hold.
    """
    root = Path(os.path.realpath(environment.get("IMAGE_CLOUD_HOME") or checkout / "var"))
    length = len(os.fsencode(root / LONGEST_SOCKET))
    if length > LONGEST_SOCKET_PATH:
        too_much = length - LONGEST_SOCKET_PATH
        raise CannotStart(
            f"IMAGE_CLOUD_HOME={root} is {too_much} bytes too long: a socket's path holds "
            f"{LONGEST_SOCKET_PATH} bytes"
        )
    if re.search(r"""[\s'"\\;{}$#%]""", str(root)):
        raise CannotStart(
            f"IMAGE_CLOUD_HOME={root}: expected a path without blanks, quotes and ;{{}}$#%\\"
        )
    return Home(root)
