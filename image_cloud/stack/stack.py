"""One stack: what a start does, in order, and what a stop does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from image_cloud.config import Config
from image_cloud.node_files import layout, settings, supervisor
from image_cloud.node_files import nginx as nginx_files
from image_cloud.node_files.access import let_through
from image_cloud.node_files.accounts import Accounts, find_accounts
from image_cloud.node_files.errors import CannotStart
from image_cloud.node_files.files import Planned, all_stand, make_folder
from image_cloud.node_files.home import Home
from image_cloud.process.locks import exclusive
from image_cloud.stack import ports, postgres, processes, ready, supervisord
from image_cloud.storage.guard.calls import Call

STORAGE_S = 10.0
STOP_S = 120.0  # all programs one after the other, each within its stopwaitsecs
START_LOCK = ".start"
SAMPLE_ADDRESS = "127.0.0.1"


class Stack:
    """The stack of one home; `say` prints one line for the person who asked for it.

    `checkout` holds nginx/ and supervisor.d/; `environment` the IMAGE_CLOUD_* variables.
    """

    def __init__(
        self, home: Home, checkout: Path, environment: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self.home = home
        self.config = Config()
        self.is_new = not home.token.exists()
        self._checkout = checkout
        self._environment = environment
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, foreground: bool = False) -> bool:
        """Start everything and wait until it serves; False where it ran already, unchanged.

        In the foreground the stack ends with us.  Raises CannotStart, ConfigError, OSError; then
        nothing is left running.
        """
        accounts = find_accounts()
        layout.make_root(self.home, accounts)
        with exclusive(self.home.root / START_LOCK):  # one start at a time
            plan = self._plan(accounts)
            if self._serves(plan):
                return False
            self._require_storage()
            self.stop()
            ports.require_free(self.config.node.listen)
            if self.config.clients.tls_listen:
                ports.require_free(self.config.clients.tls_listen)
            try:
                self._prepare(plan, accounts)
                self._process = supervisord.start(self.home, ends_with_us=foreground)
                ready.wait(
                    self.home, self.config.node.listen, self._process, self._migrate(accounts)
                )
            except BaseException:
                self.stop()
                raise
        return True

    def wait(self) -> None:
        """Return when supervisord ends; it does not unless it is told to or dies."""
        if self._process:
            self._process.wait()

    def stop(self) -> bool:
        """End every process of this stack, however it came about; say whether there was any."""
        pid = processes.supervisord(self.home)
        if pid is None and self._process and self._process.poll() is None:
            pid = self._process.pid
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            processes.wait_gone(pid, STOP_S)
        left = processes.of_stack(self.home)
        processes.end(left, self.home)
        return pid is not None or bool(left)

    def _plan(self, accounts: Accounts) -> list[Planned]:
        """Read the settings and return every file that the stack would run with."""
        settings.write_first(self.home, self._checkout, accounts)
        self.config = settings.load(self.home, self._environment, self._sample_origin())
        uses_own = str(self.home.postgres_run) in self.config.database.dsn
        programs = postgres.programs_of(self.home) if uses_own else None
        variables = supervisor.variables(self.home, self.config, accounts, programs)
        if not variables["IMAGE_CLOUD_SANDBOX"].startswith("unshare"):
            self._say("warning: no network namespaces here: the decoder keeps its network")
        return [
            *settings.plan(self.home, self.config, accounts),
            *nginx_files.plan(self.home, self.config, self._checkout, accounts.run),
            *supervisor.plan(self.home, self._checkout, variables),
            *(postgres.plan(self.home, accounts.run) if uses_own else []),
        ]

    def _serves(self, plan: list[Planned]) -> bool:
        """Return whether this very plan serves; print what follows where something else runs."""
        if processes.supervisord(self.home) is None:
            if processes.of_stack(self.home):
                self._say("ending what an earlier start left running")
            return False
        if not all_stand(plan):
            self._say("settings or code changed: restarting")
            return False
        status = ready.answer(self.config.node.listen)
        if status != "200":
            self._say(f"it runs, but /ready says {status}: restarting")
        return status == "200"

    def _require_storage(self) -> None:
        """Raise CannotStart where the storage is silent: each process of ours would hang in it."""
        path = self.config.storage.path
        if not Call(lambda: os.path.exists(path)).ended.wait(STORAGE_S):
            raise CannotStart(f"the storage {path} does not answer")

    def _prepare(self, plan: list[Planned], accounts: Accounts) -> None:
        """Lay everything out on disk; nothing runs while this does."""
        for folder in (self.home.programs, self.home.nginx):
            shutil.rmtree(folder, ignore_errors=True)
        layout.make_folders(self.home, self.config, accounts)
        self._open_ways(accounts)
        photos = self._make_photos(accounts)
        if any(file.path.parent == self.home.postgres for file in plan):
            if not postgres.is_made(self.home):
                postgres.make(self.home, postgres.programs_of(self.home), accounts.run)
            make_folder(self.home.postgres, layout.PRIVATE, accounts.run)
            postgres.forget_last_run(self.home)
        settings.write_first_token(self.home, self.config, accounts)
        for file in plan:
            file.write()
        if photos and photos.wait() != 0:
            raise CannotStart("the sample pictures cannot be made")

    def _open_ways(self, accounts: Accounts) -> None:
        """Let the stack's users reach what they need wherever it stands: the decoder only code."""
        storage, code = self.config.storage, supervisor.bin_folder()
        pictures = Path(storage.path), Path(storage.local)
        ways = [(accounts.run, (self.home.run, *pictures, code)), (accounts.decoder, (code,))]
        for account, folders in ways:
            if opened := let_through(account, *folders):
                places = ", ".join(map(str, opened))
                self._say(f"gave {account.name} search permission on {places}")

    def _sample_origin(self) -> str:
        """Return ADDRESS:PORT of the sample origin: remembered, unless another has the port now."""
        note = self.home.sample_origin
        remembered = note.read_text().strip() if note.exists() else ""
        if remembered and (processes.of_stack(self.home) or ports.is_free(remembered)):
            return remembered
        origin = f"{SAMPLE_ADDRESS}:{ports.any_free(SAMPLE_ADDRESS)}"
        Planned(note, origin + "\n").write()
        return origin

    def _make_photos(self, accounts: Accounts) -> subprocess.Popen[bytes] | None:
        """Start drawing the sample pictures where they are missing, and go on."""
        if any(self.home.sample.glob("*.jpg")):
            return None
        return self._start_as(accounts, "image_cloud.stack.sample_photos", str(self.home.sample))

    def _migrate(self, accounts: Accounts) -> subprocess.Popen[bytes]:
        """Start bringing the tables up to date, which waits for PostgreSQL, and go on."""
        return self._start_as(accounts, "image_cloud.stack.schema")

    def _start_as(self, accounts: Accounts, *module: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-m", *module],
            cwd="/",
            env=processes.clean_environment(self.home),
            stderr=subprocess.PIPE,
            **accounts.run.popen_arguments(),
        )
