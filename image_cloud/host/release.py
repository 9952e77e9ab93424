"""What Ansible calls on a host: bring the files of one release and its settings into force.

`python -m image_cloud.host.release plan|write|settle --home HOME --release FOLDER --bin FOLDER`, as root,
with the Python of that release.  A host's home is like the local stack's; PostgreSQL and nginx are the
system's.  `plan` and `write` print JSON: which files change (`changed`, with their differences in `diff`)
and what is due until `settle` says that it was done: `restart` of supervisord, `rollout` of the programs,
`reload` of nginx.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from image_cloud import supervision
from image_cloud.config import Config, ConfigError, load_config
from image_cloud.fetch.placeholder import fallback_problems
from image_cloud.node_files import layout, sandbox, settings, supervisor
from image_cloud.node_files import nginx as nginx_files
from image_cloud.node_files.accounts import Accounts, find_accounts
from image_cloud.node_files.errors import CannotStart
from image_cloud.node_files.files import Planned
from image_cloud.node_files.home import Home
from image_cloud.request.writable import format_problems

NOT_ON_HOSTS = {"postgres.conf", "nginx.conf"}  # of supervisor.d/local: systemd runs these two
NGINX = "/usr/sbin/nginx"
# By supervisord, into its own process.
LOADED = ("extension.py", "hung_programs.py", "kept_sockets.py", "lossy_logs.py", "orphans.py")
MINIFIED = "vendor"  # a folder of nginx/assets: lines of a megabyte, which nobody reads
SETTINGS = "settings.ini"  # in a release's folder: the ini that it ran with last, for a roll back


@dataclasses.dataclass(frozen=True)
class Host:
    """One host: its home, the release that is to serve, and where its programs are started from."""

    home: Home
    release: Path
    bin: Path  # a path that stays the same over releases, so that supervisord need not restart
    accounts: Accounts

    def config(self) -> Config:
        """Read the home's ini.  Raises ConfigError with every mistake."""
        return load_config(
            self.home.ini, home=str(self.home.root), checks=[format_problems, fallback_problems]
        )

    def plan(self) -> list[Planned]:
        """Return every file that the processes of this host run with."""
        config = self.config()
        variables = supervisor.variables(self.home, config, self.accounts, None)
        variables["IMAGE_CLOUD_BIN"] = str(self.bin)
        # supervisord goes on over upgrades of ours, but not of its own and of what we extend it by.
        variables["IMAGE_CLOUD_SUPERVISOR"] = supervisor_version()
        files = [
            *settings.plan(self.home, config, self.accounts),
            *nginx_files.plan(self.home, config, self.release, self.accounts.run),
            *supervisor.plan(self.home, self.release, variables),
        ]
        return [file for file in files if not self._is_foreign(file.path)]

    def _is_foreign(self, path: Path) -> bool:
        return path.parent == self.home.programs and path.name in NOT_ON_HOSTS

    def superfluous(self, plan: Iterable[Planned]) -> list[Path]:
        """Return the files that an earlier release left and this one has not."""
        wanted = {file.path for file in plan}
        there = [path for path in self.home.nginx.rglob("*") if path.is_file()]
        there += self.home.programs.glob("*.conf")
        return [
            path
            for path in there
            if path not in wanted and not path.is_relative_to(self.home.nginx_temp)
        ]


def supervisor_version() -> str:
    """Return the version of supervisor, and a hash of ours that it loads."""
    code = b"".join(Path(supervision.__path__[0], name).read_bytes() for name in LOADED)
    return f"{metadata.version('supervisor')}-{hashlib.sha256(code).hexdigest()[:8]}"


# Commands -------------------------------------------------------------------------------------


def plan(host: Host) -> dict[str, Any]:
    """Say what `write` would change."""
    files = host.plan()
    changed = [file for file in files if not file.stands()]
    gone = host.superfluous(files)
    return {
        "changed": sorted(str(path) for path in [*(file.path for file in changed), *gone]),
        "diff": [line for file in changed if not _has_ini(file) for line in _difference(file)],
        "supervisor": supervisor_version(),
        **_due(host, files),
    }


def write(host: Host) -> dict[str, Any]:
    """Write folders and files; where nginx refuses its own, put the old ones back."""
    answer = plan(host)
    config, files = host.config(), host.plan()
    layout.make_root(host.home, host.accounts)
    layout.make_folders(host.home, config, host.accounts)
    _forget_due(host, files)
    settings.write_first_token(host.home, config, host.accounts)
    _make_photos(host)
    before = _contents([*(file.path for file in files), *host.superfluous(files)])
    _write_all(host, files)
    try:
        _test_nginx(host)
    except CannotStart:
        _restore(before, files)
        raise
    Planned(host.release / SETTINGS, host.home.ini.read_text(encoding="utf-8"), 0o600).write()
    return answer


def settle(host: Host) -> dict[str, Any]:
    """Record that everything due has been done."""
    marks = _marks(host, host.plan())
    Planned(_note(host), json.dumps(marks) + "\n").write()
    return {"changed": [], "diff": [], **_due(host, host.plan())}


COMMANDS = {"plan": plan, "write": write, "settle": settle}


# What is due ----------------------------------------------------------------------------------


def _due(host: Host, files: list[Planned]) -> dict[str, bool]:
    try:
        known = json.loads(_note(host).read_text())
    except (OSError, ValueError):
        known = {}
    return {what: known.get(what) != mark for what, mark in _marks(host, files).items()}


def _forget_due(host: Host, files: list[Planned]) -> None:
    """Keep what is due until `settle`, for another release too: part of it may be done by then."""
    due, marks = _due(host, files), _marks(host, files)
    if any(due.values()):
        kept = {what: mark for what, mark in marks.items() if not due[what]}
        Planned(_note(host), json.dumps(kept) + "\n").write()


def _marks(host: Host, files: list[Planned]) -> dict[str, str]:
    """Return, for each step, a hash of everything whose change makes it due."""
    nginx = [file for file in files if file.path.is_relative_to(host.home.nginx)]
    others = [file for file in files if file not in nginx]
    # A changed program makes supervisord reopen its socket: better to be away as a whole, for the load
    # balancer to see, than to refuse for a moment.
    frame = {host.home.supervisord_conf, host.home.programs}
    return {
        "restart": _hash(file for file in files if {file.path, file.path.parent} & frame),
        "reload": _hash(nginx),
        "rollout": f"{_hash(others)} {host.release.name}",
    }


def _hash(files: Iterable[Planned]) -> str:
    text = "".join(f"{file.path}\n{len(file.text)}\n{file.text}" for file in files)
    return hashlib.sha256(text.encode()).hexdigest()


def _note(host: Host) -> Path:
    return Path(host.home.run / "in_force.json")


# Files ----------------------------------------------------------------------------------------


def _difference(file: Planned) -> list[str]:
    if MINIFIED in file.path.parts:
        return [f"{file.path} changed"]
    old = file.path.read_text(encoding="utf-8") if file.path.exists() else ""
    names = (str(file.path), f"{file.path} (new)")
    return list(difflib.unified_diff(old.splitlines(), file.text.splitlines(), *names, lineterm=""))


def _has_ini(file: Planned) -> bool:
    """Return whether this file repeats the home's ini, whose database address may hold a password."""
    return file.path.suffix == ".ini"


def _contents(paths: Iterable[Path]) -> dict[Path, str | None]:
    return {path: path.read_text(encoding="utf-8") if path.exists() else None for path in paths}


def _write_all(host: Host, files: list[Planned]) -> None:
    for file in files:
        if not file.stands():
            file.write()
    for path in host.superfluous(files):
        path.unlink()


def _restore(before: dict[Path, str | None], files: list[Planned]) -> None:
    planned = {file.path: file for file in files}
    for path, text in before.items():
        if text is None:
            path.unlink(missing_ok=True)
        else:
            dataclasses.replace(planned.get(path, Planned(path, text)), text=text).write()


def _test_nginx(host: Host) -> None:
    """Have nginx judge its files with the rights that it runs with.  Raises CannotStart."""
    prefix = str(host.home.nginx)
    command = [NGINX, "-t", "-q", "-e", "stderr", "-p", prefix, "-c", f"{prefix}/nginx.conf"]
    rights = sandbox.may_bind_low_ports(host.accounts).split() if os.geteuid() == 0 else []
    done = subprocess.run([*rights, *command], capture_output=True, text=True, cwd="/")  # noqa: S603
    if done.returncode:
        raise CannotStart("nginx refuses its files; the old ones stay", evidence=done.stderr)


def _make_photos(host: Host) -> None:
    """Draw the sample pictures, which a health check asks for, where they are missing."""
    if any(host.home.sample.glob("*.jpg")):
        return
    subprocess.run(  # noqa: S603
        [sys.executable, "-P", "-m", "image_cloud.stack.sample_photos", str(host.home.sample)],
        check=True,
        cwd="/",
        **host.accounts.run.popen_arguments(),
    )


def main() -> int:
    """Do what the arguments say, print JSON; 0 when it is done, else the reason on stderr."""
    parser = argparse.ArgumentParser(prog="image_cloud.host.release")
    parser.add_argument("command", choices=COMMANDS)
    for name in ("home", "release", "bin"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    os.umask(0o022)
    try:
        host = Host(Home(arguments.home), arguments.release, arguments.bin, find_accounts())
        print(json.dumps(COMMANDS[arguments.command](host)))
    except (CannotStart, ConfigError, OSError) as error:
        print(getattr(error, "evidence", ""), error, sep="", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
