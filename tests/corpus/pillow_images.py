"""The pictures of Pillow's own tests: fetched from the package index once, kept under `.cache/`."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

VERSION = "13.0.0"
CACHE = Path(__file__).resolve().parents[2] / ".cache"
FOLDER = CACHE / f"pillow-{VERSION}-images"
DEADLINE_S = 300


def pillow_images() -> list[Path]:
    """Return all files of `Tests/images`, fetching them first where they are not there yet."""
    if not FOLDER.is_dir():
        _unpack(_fetched())
    return sorted(path for path in FOLDER.rglob("*") if path.is_file())


def _fetched() -> Path:
    """Let pip fetch the source distribution; it checks the hash against the index."""
    archive = CACHE / f"pillow-{VERSION}.tar.gz"
    if not archive.exists():
        CACHE.mkdir(exist_ok=True)
        command = [
            sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
            "--no-binary", "pillow", "--dest", str(CACHE), f"pillow=={VERSION}",
        ]  # fmt: skip
        subprocess.run(command, check=True, timeout=DEADLINE_S)
    return archive


def _unpack(archive: Path) -> None:
    """Unpack the pictures alone, into a folder that appears when it is whole."""
    prefix = f"pillow-{VERSION}/Tests/images/"
    partial = FOLDER.with_suffix(".partial")
    with tarfile.open(archive) as tar:
        for member in tar:
            name = member.name.removeprefix(prefix)
            content = tar.extractfile(member) if name != member.name and ".." not in name else None
            if content:
                target = partial / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())
    partial.rename(FOLDER)
