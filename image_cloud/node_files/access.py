"""What the stack's users may reach: a way through to their folders, files that they can read."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from image_cloud.node_files.accounts import Account
from image_cloud.node_files.errors import CannotStart


def let_through(account: Account, *folders: Path) -> list[Path]:
    """Let a user pass through the parents of `folders`, by search permission alone.

    Returns the parents that got it.  Raises CannotStart where that is impossible.
    """
    opened = []
    for parent in sorted({parent for folder in folders for parent in folder.parents}):
        if not _may_pass(account, parent):
            _allow_search(parent, account.name)
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


def _allow_search(folder: Path, name: str) -> None:
    command = ["setfacl", "-m", f"u:{name}:--x", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
    except FileNotFoundError:
        raise CannotStart("setfacl is missing (Debian package acl)") from None
    if done.returncode:
        reason = done.stderr.strip().rpartition(": ")[2]
        raise CannotStart(f"{name} may not enter {folder}, and setfacl cannot allow it: {reason}")
