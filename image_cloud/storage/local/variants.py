"""Everything made from originals: `variants/ab/cd/<stem>/<name>`, one folder for each original.

The stem is the key of a public original, and `<key>.private` of one that was fetched with credentials.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import time
from pathlib import Path

from image_cloud.picture import facts
from image_cloud.picture.facts import Facts
from image_cloud.picture.key import fan_out
from image_cloud.picture.record import PRIVATE
from image_cloud.picture.variant import Recipe
from image_cloud.process import json_file
from image_cloud.storage.files import has_bytes, has_time, make_dir, stamp, touch, with_folder
from image_cloud.storage.folders import PRIVATE_DIR, PRIVATE_FILE
from image_cloud.storage.local.lease import Lease
from image_cloud.storage.new_file import NewFile, sync_together

MADE_OF = ".original"
"""An empty file beside the variants that has the time of the original, and so says which one that was."""


class Variants:
    """The variants below `root`.

    With a `lease` other nodes change the originals: each folder of variants then says what it was made of.
    """

    def __init__(self, root: Path, lease: Lease | None = None) -> None:
        self._root = root
        self._lease = lease

    def are_believed(self) -> bool:
        """Say whether what is here is still that of the originals."""
        return self._lease is None or self._lease.holds()

    def has(self, stem: str, name: str) -> bool:
        """Say whether the variant is on disk; an empty file is none."""
        return has_bytes(f"{self._root}/{variant_path(stem, name)}")

    def find(self, stem: str, recipe: Recipe) -> str:
        """Return the name that a recipe's variant has on disk, nothing where it is not there."""
        return next((name for name in recipe.names if self.has(stem, name)), "")

    def names(self, stem: str) -> set[str]:
        """Return the names of the pictures made from one original; a link is nothing that was made."""
        try:
            with os.scandir(f"{self._root}/variants/{fan_out(stem)}/{stem}") as entries:
                files = (one.name for one in entries if one.is_file(follow_symlinks=False))
                return {name for name in files if name not in (facts.FILE, MADE_OF)}
        except FileNotFoundError:
            return set()

    def facts(self, stem: str) -> Facts | None:
        """Return the facts of an original, None where they are not there."""
        path = f"{self._root}/{variant_path(stem, facts.FILE)}"
        return json_file.read(path, Facts, facts.MOST_BYTES)

    def path(self, stem: str, name: str) -> Path:
        """Return where the variant lies, or would."""
        return self._root / variant_path(stem, name)

    def keep(self, stem: str, files: dict[str, bytes]) -> dict[str, OSError]:
        """Write variants by their names; return those that could not be kept, and why not."""
        made: dict[str, NewFile] = {}
        failed: dict[str, OSError] = {}
        with contextlib.ExitStack() as stack:
            for name, content in files.items():
                try:
                    file = NewFile(f"{self._root}/variants/.incoming", PRIVATE_FILE)
                    stack.enter_context(file).write(content)
                    stamp(file.descriptor, time.time(), hashlib.sha256(content).hexdigest())
                    made[name] = file
                except OSError as error:
                    failed[name] = error
            if made:
                try:
                    sync_together(*made.values())
                except OSError as error:
                    return dict.fromkeys(files, error)
            for name, file in made.items():
                try:
                    file.place(f"{self._root}/{variant_path(stem, name)}", PRIVATE_DIR)
                except OSError as error:
                    failed[name] = error
        return failed

    def keep_only(self, stem: str, original_ns: int) -> None:
        """Remove what was made of another original than that with this modification time, and note it.

        Without a lease that was done when the original was replaced.  Raises OSError.
        """
        if self._lease is None or self._is_of(stem, original_ns):
            return
        self._remove(stem)
        note = f"{self._root}/{variant_path(stem, MADE_OF)}"
        with_folder(lambda path: touch(path, PRIVATE_FILE, original_ns), note, PRIVATE_DIR)

    def remove_others(self, key: str, original_ns: int) -> None:
        """Remove what was not made of the original of `key` that has this modification time."""
        for stem in (key, key + PRIVATE):
            if not self._is_of(stem, original_ns):
                self._remove(stem)

    def remove_one(self, stem: str, name: str) -> None:
        """Remove one variant, and its folder if that was the last."""
        path = self.path(stem, name)
        path.unlink(missing_ok=True)
        remove_if_empty(path.parent)

    def remove(self, key: str) -> None:
        """Remove everything made from originals of `key`."""
        for stem in (key, key + PRIVATE):
            self._remove(stem)

    def remove_all(self) -> None:
        """Remove all variants at once; `clear_away` then makes room.  Raises OSError."""
        away = f"{self._root}/variants.{secrets.token_hex(8)}"
        os.rename(f"{self._root}/variants", away)
        make_dir(f"{self._root}/variants/.incoming", PRIVATE_DIR)
        with contextlib.suppress(OSError):
            os.rename(away, f"{self._root}/variants/.incoming/{os.path.basename(away)}")

    def _remove(self, stem: str) -> None:
        # All at once: nobody finds some of them still there.
        away = f"{self._root}/variants/.incoming/{secrets.token_hex(16)}"
        with contextlib.suppress(OSError):
            os.rename(f"{self._root}/variants/{fan_out(stem)}/{stem}", away)
            shutil.rmtree(away)

    def _is_of(self, stem: str, original_ns: int) -> bool:
        return has_time(f"{self._root}/{variant_path(stem, MADE_OF)}", original_ns)

    def clear_away(self) -> None:
        """Remove what a process that died was removing."""
        with (
            contextlib.suppress(OSError),
            os.scandir(f"{self._root}/variants/.incoming") as entries,
        ):
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)


def remove_if_empty(folder: Path) -> None:
    """Remove the folder of an original's variants if there are none left."""
    with contextlib.suppress(OSError):
        if os.listdir(folder) == [MADE_OF]:
            os.unlink(folder / MADE_OF)
        folder.rmdir()


def variant_path(stem: str, name: str) -> str:
    """Return a variant's path below the root; nginx computes the same."""
    return f"variants/{fan_out(stem)}/{stem}/{name}"
