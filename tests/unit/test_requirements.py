"""What is installed: declared where it is imported, pinned, with hashes, and nothing that nobody uses."""

from __future__ import annotations

import ast
import configparser
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(ROOT.glob("requirements*.txt"))
PRODUCT = ("image_cloud", "falcon_app", "daemons")
OURS = {*PRODUCT, "image_cloud_client", "tests", "bench", "dev"}
PIN = re.compile(r"([a-z0-9-]+)==([^ ;]+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)")


def pins(path: Path) -> dict[str, str]:
    """Return names and versions of a requirements file; each has a hash, and nothing else is in it."""
    text = re.sub(r"^ *#.*\n", "", path.read_text(), flags=re.MULTILINE)
    assert not PIN.sub("", text), f"{path.name} has lines that are no pins with hashes"
    return {match[1]: match[2] for match in PIN.finditer(text)}


def declared() -> dict[str, str]:
    """Return what setup.cfg's install_requires says."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options"]["install_requires"].split("\n")
    return dict(re.split(" == ", line) for line in lines if line)


def groups() -> dict[str, list[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups: dict[str, list[str]] = project["dependency-groups"]
    return groups


def imported(folders: Iterable[str]) -> set[str]:
    """Return the distributions whose modules the code below these folders imports."""
    modules = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module.partition(".")[0])
    installed = {"cv2": ["opencv-python-headless"], **packages_distributions()}
    # Two packages have PIL (IMAGING).
    others = modules - OURS - set(sys.stdlib_module_names) - {"PIL"}
    names = {name for module in others for name in installed.get(module, [module])}
    return {name.lower().replace("_", "-") for name in names}


def test_what_the_code_imports_is_what_it_declares() -> None:
    assert imported(PRODUCT) - set(groups()["codecs"]) == set(declared())


def test_what_is_declared_is_what_is_installed() -> None:
    assert declared().items() <= pins(ROOT / "requirements.txt").items()


def test_tests_import_what_is_installed_for_them() -> None:
    of_the_code = {*declared(), *groups()["codecs"]}
    runs_them = {"pytest-xdist"}  # dev/unit.sh: -n
    assert imported(["tests"]) - of_the_code == set(groups()["test"]) - runs_them


def test_benchmarks_import_what_is_installed_for_them() -> None:
    installed = {*declared(), *(name for group in groups().values() for name in group)}
    assert imported(["bench"]) <= installed
    beside = {"pyvips-binary", "thumbor"}  # pyvips' library; a server
    assert set(groups()["bench"]) - beside <= imported(["bench"])


def test_make_unit_installs_what_code_and_tests_import() -> None:
    files = re.findall(r"requirements[\w-]*\.txt", (ROOT / "dev/unit.sh").read_text())
    installed = {name for file in files for name in pins(ROOT / file)}
    assert imported([*PRODUCT, "tests"]) <= installed


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_package_is_pinned_with_hashes(path: Path) -> None:
    assert pins(path)


def test_every_group_has_its_file() -> None:
    files = {f"requirements-{group}.txt" for group in groups()} | {"requirements.txt"}
    assert files == {path.name for path in FILES}
    for group, names in groups().items():
        assert set(names) <= set(pins(ROOT / f"requirements-{group}.txt"))


def test_what_shares_an_environment_agrees() -> None:
    seen: dict[str, str] = {}
    for group in ("", "-test", "-lint"):
        for name, version in pins(ROOT / f"requirements{group}.txt").items():
            assert seen.setdefault(name, version) == version, name
