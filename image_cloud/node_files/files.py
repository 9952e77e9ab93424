"""Write the stack's files: whole, with owner and mode, and only where something changed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

from image_cloud.node_files.accounts import Account


@dataclasses.dataclass(frozen=True)
class Planned:
    """One file that a start writes."""

    path: Path
    text: str
    mode: int = 0o644
    owner: Account | None = None  # None: whoever starts the stack

    def stands(self) -> bool:
        """Say whether the file has this text already."""
        try:
            return self.path.read_text(encoding="utf-8") == self.text
        except (OSError, UnicodeDecodeError):
            return False

    def write(self) -> None:
        """Write a temporary file with the right owner and mode, then rename it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(self.text)
            os.fchmod(file.fileno(), self.mode)
            if self.owner and os.geteuid() == 0:
                os.fchown(file.fileno(), self.owner.uid, self.owner.gid)
        temporary.replace(self.path)


def all_stand(plan: Iterable[Planned]) -> bool:
    """Say whether nothing of `plan` would change."""
    return all(file.stands() for file in plan)


def make_folder(
    path: Path, mode: int = 0o755, owner: Account | None = None, *, group_of: Account | None = None
) -> None:
    """Make a folder with its parents; `owner` gets it, or only its group becomes `group_of`'s."""
    path.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0 and owner:
        os.chown(path, owner.uid, owner.gid)
    if os.geteuid() == 0 and group_of:
        os.chown(path, -1, group_of.gid)
    if path.stat().st_mode & 0o7777 != mode:
        path.chmod(mode)
