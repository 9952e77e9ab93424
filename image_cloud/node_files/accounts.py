"""Who the stack's processes run as: never root."""

from __future__ import annotations

import contextlib
import dataclasses
import grp
import os
import pwd
import subprocess
from typing import Any

from image_cloud.node_files.errors import CannotStart

RUN_USER, DECODER_USER = "image-cloud", "image-cloud-decoder"


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
    """`run` owns pools, daemons, nginx and PostgreSQL; `decoder` decodes, and owns nothing."""

    run: Account
    decoder: Account
    privileged: bool  # started as root: files are handed over, programs drop their rights


def find_accounts() -> Accounts:
    """Return the users of the stack; as root, make the two system users where they are missing."""
    if os.geteuid() != 0:
        me = _look_up(pwd.getpwuid(os.geteuid()).pw_name)
        return Accounts(me, me, privileged=False)
    _make_user(RUN_USER)
    _make_user(DECODER_USER)
    return Accounts(_look_up(RUN_USER), _look_up(DECODER_USER), privileged=True)


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
    """Each user has a group of its own, which may be there already."""
    with contextlib.suppress(KeyError):
        grp.getgrnam(name)
        return ["--gid", name]
    return ["--user-group"]


def _exists(name: str) -> bool:
    with contextlib.suppress(KeyError):
        return bool(pwd.getpwnam(name))
    return False


def _look_up(name: str) -> Account:
    entry = pwd.getpwnam(name)
    return Account(name, entry.pw_uid, entry.pw_gid)
