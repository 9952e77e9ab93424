"""The stack's own PostgreSQL: a private cluster under the home, on a unix socket alone."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from image_cloud.node_files.accounts import Account
from image_cloud.node_files.errors import CannotStart
from image_cloud.node_files.files import Planned, make_folder
from image_cloud.node_files.home import Home

OLDEST = 15
ADMINISTRATOR = "postgres"
ROLE = DATABASE = "image_cloud"

SETTINGS = """\
# Written by the stack at every start.
listen_addresses = ''
port = 5436
unix_socket_directories = '{run}'
unix_socket_permissions = 0700
max_connections = 200
shared_buffers = 64MB
max_wal_size = 512MB
# The change feed's horizon waits for the oldest open transaction of the whole cluster.
max_prepared_transactions = 0
idle_in_transaction_session_timeout = 60s
log_line_prefix = '%m [%p] %u '
"""
# The kernel says who is at the other end of a unix socket: no password to keep.
ACCESS = "local all all peer map=stack\n"


def programs_of(home: Home) -> Path:
    """Return the folder of PostgreSQL's programs: the data's version, else the newest installed."""
    installed = {
        int(folder.parent.name): folder
        for folder in Path("/usr/lib/postgresql").glob("[0-9]*/bin")
        if (folder / "initdb").exists()
    }
    if is_made(home):
        version = int((home.postgres / "PG_VERSION").read_text())
        if version not in installed:
            raise CannotStart(
                f"{home.postgres} was made by PostgreSQL {version}, which is not installed"
            )
        return installed[version]
    if not installed or max(installed) < OLDEST:
        raise CannotStart(
            f"PostgreSQL {OLDEST} or later is not installed (Debian package postgresql)"
        )
    return installed[max(installed)]


def is_made(home: Home) -> bool:
    """Say whether the cluster stands."""
    return (home.postgres / "PG_VERSION").exists()


def make(home: Home, programs: Path, owner: Account) -> None:
    """Make the cluster with role and database, beside its place first: a torn start leaves none."""
    draft = home.postgres.with_name("postgres.new")
    shutil.rmtree(draft, ignore_errors=True)
    make_folder(draft, 0o700, owner)
    initdb: list[str | Path] = [
        programs / "initdb",
        "-D",
        draft,
        "-U",
        ADMINISTRATOR,
        "-A",
        "peer",
        "-E",
        "UTF8",
    ]
    _run([*initdb, "--locale=C.UTF-8", "--data-checksums"], owner)
    statements = f"CREATE ROLE {ROLE} LOGIN;\nCREATE DATABASE {DATABASE} OWNER {ROLE};\n"
    _run(
        [programs / "postgres", "--single", "-j", "-D", draft, "postgres"],
        owner,
        statements.replace("\n", "\n\n"),
    )
    with open(draft / "postgresql.conf", "a", encoding="utf-8") as file:
        file.write("\ninclude = 'image_cloud.conf'\n")
    draft.rename(home.postgres)


def plan(home: Home, owner: Account) -> list[Planned]:
    """Return the files that a start writes into the cluster: settings, and who may come in."""
    users = {"root", owner.name}
    names = "".join(
        f"stack {user} {role}\n" for user in sorted(users) for role in (ADMINISTRATOR, ROLE)
    )
    texts = {
        "image_cloud.conf": SETTINGS.format(run=home.postgres_run),
        "pg_hba.conf": ACCESS,
        "pg_ident.conf": names,
    }
    return [Planned(home.postgres / name, text, 0o600, owner) for name, text in texts.items()]


def forget_last_run(home: Home) -> None:
    """Remove the lock files of a server that was killed: its id may be another's process by now."""
    (home.postgres / "postmaster.pid").unlink(missing_ok=True)
    for socket_file in home.postgres_run.glob(".s.PGSQL.*"):
        socket_file.unlink()


def _run(command: list[str | Path], owner: Account, text: str = "") -> None:
    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(  # noqa: S603
        command,
        input=text,
        capture_output=True,
        text=True,
        cwd="/",
        env=environment,
        **owner.popen_arguments(),
    )
    output = done.stdout + done.stderr
    if done.returncode or "ERROR:" in output:
        lines = [
            line
            for line in output.splitlines()
            if "ror:" in line or "FATAL" in line or "ERROR" in line
        ]
        reason = lines[0].strip() if lines else f"exit code {done.returncode}"
        raise CannotStart(f"PostgreSQL's cluster cannot be made: {reason}", evidence=output)
