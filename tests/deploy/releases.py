"""Several versions of the code to deploy, as checkouts; their archives are built while there is a network."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILT = ROOT / ".cache/deploy"
SHIPPED = (
    "ansible", "image_cloud", "falcon_app", "daemons", "client", "nginx", "supervisor.d",
    "setup.py", "setup.cfg", "pyproject.toml", "README.md",
    "requirements.txt", "requirements-build.txt", "requirements-codecs.txt",
    "requirements-pillow-simd.txt", "requirements-pillow.txt", "ansible.cfg",
)  # fmt: skip
# As in ansible/group_vars/all/image_cloud.yml.
BUILD = {"FLAGS": "-mavx2", "IMAGING": "pillow-simd", "PYTHON": "/usr/bin/python3"}
NAMES = ("now", "newer", "broken", "ailing")


def checkout(folder: Path, release: str) -> Path:
    """Return the folder of one version's code."""
    return folder / "checkouts" / release


def build_all(folder: Path) -> None:
    """Copy the checkout for each version, change it, and build its archive."""
    for release in NAMES:
        place = checkout(folder, release)
        place.mkdir(parents=True)
        subprocess.run(["cp", "-r", *SHIPPED, place], cwd=ROOT, check=True)
        CHANGES[release](place)
        environment = {
            **os.environ,
            "FLAGS": "-mavx2",
            "IMAGING": "pillow-simd",
            "PYTHON": "/usr/bin/python3",
        }
        subprocess.run(
            ["sh", "ansible/build_release.sh", BUILT], cwd=place, env=environment, check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text, f"{file} has no {old}"
    file.write_text(text.replace(old, new))


def _leave(place: Path) -> None:
    pass


def _raise_version(place: Path) -> None:
    _replace(place / "image_cloud/__init__.py", '__version__ = "', '__version__ = "9.')


def _break(place: Path) -> None:
    """A release that installs but cannot be loaded."""
    _replace(place / "image_cloud/__init__.py", '__version__ = "', '__version__ = "10.')
    first_import = "from __future__ import annotations"
    _replace(place / "falcon_app/front/images.py", first_import, 'raise ImportError("broken")')


def _ail(place: Path) -> None:
    """A release that starts, but whose fetch pool answers no request for a picture."""
    _replace(place / "image_cloud/__init__.py", '__version__ = "', '__version__ = "11.')
    responder = "    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:\n"
    broken = f"{responder}        raise RuntimeError\n"
    _replace(place / "falcon_app/fetch/originals.py", responder, broken)


CHANGES = {"now": _leave, "newer": _raise_version, "broken": _break, "ailing": _ail}
