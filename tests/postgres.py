"""A private PostgreSQL for tests: one cluster a session, one database a test, made from a template.

@pytest.fixture(scope="session")
def cluster(tmp_path_factory): ...            # tests/conftest.py has it
def test_something(database: Database): ...   # empty tables, everything migrated
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg2
import psycopg2.extensions

from image_cloud.config.sections import Database as Settings
from image_cloud.db.connect import Database
from image_cloud.db.migrate import migrate

START_S = 30.0
CONF = """
listen_addresses = ''
max_connections = 50
fsync = off
"""
MEMORY, LEAST_FREE_BYTES = Path("/dev/shm"), 1 << 30


class Cluster:
    """A running server in a folder of its own; a context manager that leaves nothing behind.

    The folder is made below `parent`, without it where temporary files belong.
    """

    def __init__(self, conf: str = CONF, parent: Path | None = None) -> None:
        self._conf = conf
        self._parent = parent
        self._numbers = itertools.count()

    def __enter__(self) -> Cluster:
        # Sockets have short paths, and pytest's folders are closed to other users.
        self.folder = Path(tempfile.mkdtemp(prefix="ic-pg-", dir=self._parent))
        self._user = _unprivileged_user()
        shutil.chown(self.folder, self._user)
        self._programs = max(
            Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name)
        )
        self.make()
        self.start()
        self.fill()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def fill(self) -> None:
        """Make the template."""
        self._create("template", "template0")
        migrate(Database(self.settings("template")))

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = [str(self._programs / "postgres"), "-D", str(self.folder / "data")]
        command += ["-k", str(self.folder)]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                self._as_user(command), stdout=log, stderr=log, cwd="/", start_new_session=True
            )
        deadline = time.monotonic() + START_S
        while True:
            try:
                psycopg2.connect(self.settings("postgres").dsn).close()
                return
            except psycopg2.OperationalError:
                log_text = (self.folder / "log").read_text()
                assert time.monotonic() < deadline, log_text
                assert self.process.poll() is None, log_text
                time.sleep(0.05)

    def stop(self, how: int = signal.SIGINT) -> None:
        """Stop the server: SIGINT at once and in order, SIGKILL as a crash does."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, how)
            self.process.wait(START_S)

    def settings(self, name: str) -> Settings:
        dsn = f"host={self.folder} dbname={name} user=tester"
        return dataclasses.replace(Settings(), dsn=dsn)

    def new_database(self) -> Settings:
        """Return how to reach a new, migrated database."""
        name = f"test{next(self._numbers)}"
        self._create(name, "template")
        return self.settings(name)

    def drop(self, settings: Settings) -> None:
        """Remove a database of ours, whoever is connected to it."""
        name = psycopg2.extensions.parse_dsn(settings.dsn)["dbname"]
        self._execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _create(self, name: str, template: str) -> None:
        # Copying files is quicker than logging their pages, where nothing is synced.
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')

    def _execute(self, statement: str) -> None:
        connection = psycopg2.connect(self.settings("postgres").dsn)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
        connection.close()

    def make(self) -> None:
        """Make the server's files."""
        self.run(
            "initdb", "-U", "tester", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"
        )
        with open(self.folder / "data/postgresql.conf", "a", encoding="utf-8") as file:
            file.write(self._conf)

    def run(self, program: str, *arguments: str) -> None:
        """Run a program of PostgreSQL on this server's files."""
        command = [str(self._programs / program), "-D", str(self.folder / "data"), *arguments]
        subprocess.run(self._as_user(command), check=True, capture_output=True, cwd="/")

    def _as_user(self, command: list[str]) -> list[str]:
        """PostgreSQL refuses to be root."""
        return (
            ["setpriv", f"--reuid={self._user}", "--clear-groups", "--", *command]
            if _root()
            else command
        )


def memory() -> Path | None:
    """Return a folder that is kept in memory, None where there is none with room for a cluster."""
    try:
        free = os.statvfs(MEMORY)
    except OSError:
        return None
    has_room = free.f_bavail * free.f_frsize > LEAST_FREE_BYTES and os.access(MEMORY, os.W_OK)
    return MEMORY if has_room else None


def _root() -> bool:
    return os.geteuid() == 0


def _unprivileged_user() -> str:
    if not _root():
        return pwd.getpwuid(os.geteuid()).pw_name
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)
