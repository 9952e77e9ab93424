"""`make release` in a repository of its own, which holds what a release reads and writes."""

from __future__ import annotations

import datetime
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHANGELOG = """# Changelog

## Unreleased

- One.
- Two,
  of two lines.

## 0.1.0 - 2026-01-01

- Old.
"""
IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Somebody"), ("EMAIL", "somebody@example.com"))
}


class Repository:
    """A clean checkout of main at version 0.1.0."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "dev").mkdir()
        (root / "image_cloud").mkdir()
        for file in ("Makefile", "dev/release.py"):
            shutil.copy(ROOT / file, root / file)
        (root / "image_cloud/__init__.py").write_text('"""Words."""\n\n__version__ = "0.1.0"\n')
        (root / "CHANGELOG.md").write_text(CHANGELOG)
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        outside = {
            name: text
            for name, text in os.environ.items()
            if not name.startswith(("GIT_", "MAKE", "MFLAGS", "VERSION"))
        }
        alone = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        environment = outside | IDENTITY | alone
        return subprocess.run(words, cwd=self.root, env=environment, capture_output=True, text=True)

    def git(self, *words: str) -> str:
        done = self.run("git", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=start")

    def release(self, version: str) -> subprocess.CompletedProcess[str]:
        return self.run("make", "release", f"VERSION={version}")

    def state(self) -> tuple[str, str, str]:
        return self.git("rev-parse", "HEAD"), self.git("status", "--porcelain"), self.git("tag")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_a_release_is_one_command(repository: Repository) -> None:
    done = repository.release("1.0.0")
    assert done.returncode == 0, done.stderr
    assert '\n__version__ = "1.0.0"\n' in (repository.root / "image_cloud/__init__.py").read_text()
    today = datetime.date.today()
    dated = CHANGELOG.replace("## Unreleased\n", f"## Unreleased\n\n## 1.0.0 - {today}\n")
    assert (repository.root / "CHANGELOG.md").read_text() == dated
    assert repository.git("status", "--porcelain") == ""
    assert repository.git("log", "-1", "--format=%s") == "release: 1.0.0"
    assert repository.git("cat-file", "-t", "v1.0.0") == "tag"
    assert repository.git("rev-parse", "v1.0.0^{commit}") == repository.git("rev-parse", "HEAD")
    message = repository.git("tag", "--list", "--format=%(contents)", "v1.0.0")
    assert message == "Image Cloud 1.0.0\n\n- One.\n- Two,\n  of two lines."


@pytest.mark.parametrize(
    "version", ["", "1", "1.0", "v1.0.0", "1.0.0 ", "1.0.0rc1", "01.0.0", "0.1.0", "0.0.9", "x; y"]
)
def test_what_is_no_later_version_is_refused(repository: Repository, version: str) -> None:
    before = repository.state()
    done = repository.release(version)
    assert done.returncode != 0
    assert "release: VERSION=" in done.stderr
    assert repository.state() == before


def test_versions_are_compared_as_numbers(repository: Repository) -> None:
    assert repository.release("0.10.0").returncode == 0
    (repository.root / "CHANGELOG.md").write_text("## Unreleased\n\n- Three.\n")
    repository.commit()
    assert repository.release("0.9.0").returncode != 0
    assert repository.release("0.11.0").returncode == 0


def _edit(repository: Repository) -> None:
    (repository.root / "Makefile").open("a").write("\n")


def _add(repository: Repository) -> None:
    (repository.root / "new").touch()


def _branch(repository: Repository) -> None:
    repository.git("switch", "--quiet", "--create", "other")


def _detach(repository: Repository) -> None:
    repository.git("switch", "--quiet", "--detach")


def _tag(repository: Repository) -> None:
    repository.git("tag", "v1.0.0")


def _empty(repository: Repository) -> None:
    (repository.root / "CHANGELOG.md").write_text("## Unreleased\n\n## 0.1.0\n\n- Old.\n")
    repository.commit()


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (_edit, "not clean"),
        (_add, "not clean"),
        (_branch, "on other"),
        (_detach, "on no branch"),
        (_tag, "released already"),
        (_empty, "nothing under Unreleased"),
    ],
)
def test_a_checkout_that_is_not_ready_is_left_alone(
    repository: Repository, prepare: Callable[[Repository], None], says: str
) -> None:
    prepare(repository)
    before = repository.state()
    done = repository.release("1.0.0")
    assert done.returncode != 0
    assert says in done.stderr
    assert repository.state() == before


@pytest.mark.parametrize("setting", ["core.hooksPath=hooks", "tag.gpgSign=true"])
def test_a_commit_or_tag_that_fails_changes_nothing(repository: Repository, setting: str) -> None:
    hook = repository.root / ".git/refuse/pre-commit"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    name, _, value = setting.partition("=")
    repository.git("config", name, str(hook.parent) if value == "hooks" else value)
    repository.git("config", "gpg.program", "false")
    before = repository.state()
    assert repository.release("1.0.0").returncode != 0
    assert repository.state() == before
