"""supervisord's own file, the programs' files, and the variables that these expand."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from image_cloud.config import Config
from image_cloud.node_files import nginx as nginx_files
from image_cloud.node_files import sandbox
from image_cloud.node_files.accounts import Accounts
from image_cloud.node_files.files import Planned
from image_cloud.node_files.home import Home
from image_cloud.process.sockets import split

FRAME = """\
; Written by the stack at every start.  Code: {code}
[unix_http_server]
file={home}/run/supervisor.sock
chmod=0700

[supervisord]
logfile={home}/log/supervisord.log
logfile_maxbytes=10MB
logfile_backups=3
pidfile={home}/run/supervisord.pid
directory=/
umask=007
minfds={open_files}
{user}environment={environment}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[rpcinterface:image_cloud]
supervisor.rpcinterface_factory=image_cloud.supervision.extension:make

[supervisorctl]
serverurl=unix://{home}/run/supervisor.sock

[include]
files={home}/run/supervisor.d/*.conf
"""


def bin_folder() -> Path:
    """Return the folder of the virtual environment's programs."""
    return Path(sys.prefix) / "bin"


def variables(
    home: Home, config: Config, accounts: Accounts, postgres: Path | None
) -> dict[str, str]:
    """Return the variables that the files in supervisor.d expand, as %(ENV_...)s."""
    listens = [listen for listen in (config.node.listen, config.clients.tls_listen) if listen]
    lowest = min(split(listen)[1] for listen in listens)
    below_1024 = lowest < 1024 and accounts.privileged
    return {
        "IMAGE_CLOUD_HOME": str(home.root),
        "IMAGE_CLOUD_CONFIG": str(home.config),
        "IMAGE_CLOUD_RUN": str(home.run),
        "IMAGE_CLOUD_LOG": str(home.log),
        "IMAGE_CLOUD_BIN": str(bin_folder()),
        "IMAGE_CLOUD_USER": accounts.run.name,
        "IMAGE_CLOUD_SANDBOX": sandbox.command(accounts),
        "IMAGE_CLOUD_NGINX_AS": sandbox.may_bind_low_ports(accounts) if below_1024 else "",
        "IMAGE_CLOUD_NGINX_USER": "root" if below_1024 else accounts.run.name,
        "IMAGE_CLOUD_POSTGRES": str(postgres or ""),
        "HOME": str(home.run),
        "PYTHONUNBUFFERED": "1",
    }


def plan(home: Home, checkout: Path, settings: dict[str, str]) -> list[Planned]:
    """Return supervisord's own file and a copy of each program's."""
    source = checkout / "supervisor.d"
    programs = [*sorted(source.glob("*.conf")), *sorted((source / "local").glob("*.conf"))]
    if not settings["IMAGE_CLOUD_POSTGRES"]:
        programs = [path for path in programs if path.name != "postgres.conf"]
    escaped = {name: value.replace("%", "%%") for name, value in settings.items()}
    text = FRAME.format(
        home=home.root,
        code=_fingerprint(),
        open_files=nginx_files.open_files(),
        user="user=root\n" if os.geteuid() == 0 else "",
        environment=",".join(f'{name}="{value}"' for name, value in escaped.items()),
    )
    files = [
        Planned(home.programs / path.name, path.read_text(encoding="utf-8")) for path in programs
    ]
    return [Planned(home.supervisord_conf, text), *files]


def _fingerprint() -> str:
    """Return a hash of what virtual_environment.sh noted: a restart is due when it changes."""
    notes = (Path(sys.prefix) / name for name in (".code", ".imaging", ".requirements.txt"))
    text = "".join(note.read_text() for note in notes if note.exists())
    return hashlib.sha256(text.encode()).hexdigest()
