"""Who the stack's processes run as: never root."""

from __future__ import annotations

import contextlib
import dataclasses
import grp
import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from image_cloud.node_files.errors import CannotStart

RUN_USER, SANDBOX_USER = "image-cloud", "image-cloud-resize"


@dataclasses.dataclass(frozen=True)
class Account:
    """One system user, with its primary group."""

    name: str
    uid: int
    gid: int

    def popen_arguments(self) -> dict[str, Any]:
        """Return what makes `subprocess` run a command as this user."""
        if os.geteuid() != 0:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


@dataclasses.dataclass(frozen=True)
class Accounts:
    """`run` owns pools, daemons, nginx and PostgreSQL; `sandbox` resizes."""

    run: Account
    sandbox: Account
    privileged: bool  # started as root: files are handed over, programs drop their rights


def find_accounts() -> Accounts:
    """Return the users of the stack; as root, make the two system users where they are missing."""
    if os.geteuid() != 0:
        me = _look_up(pwd.getpwuid(os.geteuid()).pw_name)
        return Accounts(me, me, privileged=False)
    _make_user(RUN_USER)
    _make_user(SANDBOX_USER)
    return Accounts(_look_up(RUN_USER), _look_up(SANDBOX_USER), privileged=True)


def let_through(accounts: Accounts, *folders: Path) -> list[Path]:
    """Let both users pass through the parents of `folders`, by search permission alone.

    Returns the parents that got it.  Raises CannotStart where that is impossible.
    """
    opened = []
    for parent in sorted({parent for folder in folders for parent in folder.parents}):
        names = [a.name for a in (accounts.run, accounts.sandbox) if not _may_pass(a, parent)]
        if names:
            _allow_search(parent, names)
            opened.append(parent)
    return opened


def why_unreadable(account: Account, file: Path) -> str:
    """Return why `account` cannot read `file`; nothing where it can."""
    with _acting_as(account):
        try:
            os.close(os.open(file, os.O_RDONLY))
        except OSError as error:
            return f"{account.name} cannot read it: {error.strerror}"
    return ""


def _may_pass(account: Account, folder: Path) -> bool:
    with _acting_as(account):
        try:
            os.stat(f"{folder}/.")  # a Path would drop the dot
        except PermissionError:
            return False
    return True


@contextlib.contextmanager
def _acting_as(account: Account) -> Iterator[None]:
    """Have the kernel judge file access as it would for `account` (root only, else as we are)."""
    if os.geteuid() != 0:
        yield
        return
    groups, gid = os.getgroups(), os.getegid()
    os.setgroups([])
    os.setegid(account.gid)
    os.seteuid(account.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def _allow_search(folder: Path, names: list[str]) -> None:
    entries = ",".join(f"u:{name}:--x" for name in names)
    command = ["setfacl", "-m", entries, str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
    except FileNotFoundError:
        raise CannotStart("setfacl is missing (Debian package acl)") from None
    if done.returncode:
        reason = done.stderr.strip().rpartition(": ")[2]
        raise CannotStart(
            f"{' and '.join(names)} may not enter {folder}, and setfacl cannot allow it: {reason}"
        )


def _make_user(name: str) -> None:
    with contextlib.suppress(KeyError):
        pwd.getpwnam(name)
        return
    command = ["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent"]
    command += ["--shell", "/usr/sbin/nologin", *_group_options(name), name]
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
    if done.returncode and not _exists(name):  # another stack may have made it meanwhile
        raise CannotStart(f"the system user {name} cannot be made: {done.stderr.strip()}")


def _group_options(name: str) -> list[str]:
    """Both users share one group, so that variants can be shared and originals read."""
    with contextlib.suppress(KeyError):
        grp.getgrnam(RUN_USER)
        return ["--gid", RUN_USER]
    return ["--user-group"] if name == RUN_USER else ["--gid", RUN_USER]


def _exists(name: str) -> bool:
    with contextlib.suppress(KeyError):
        return bool(pwd.getpwnam(name))
    return False


def _look_up(name: str) -> Account:
    entry = pwd.getpwnam(name)
    return Account(name, entry.pw_uid, entry.pw_gid)
