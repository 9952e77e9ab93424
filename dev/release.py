"""`make release VERSION=1.0.0`: set the version, date the changelog's section, commit and tag.

Needs a clean tree on main; touches nothing otherwise, and pushes nothing.
"""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", re.ASCII)
CODE = "image_cloud/__init__.py"
CHANGELOG = "CHANGELOG.md"
UNRELEASED = "## Unreleased\n"


def main(arguments: list[str]) -> int:
    """Release the version that is the only argument; return 0 when it is done."""
    version = arguments[0] if arguments else ""
    try:
        code, changelog, section = prepare(version)
    except ValueError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    before = git("rev-parse", "HEAD")
    (ROOT / CODE).write_text(code)
    (ROOT / CHANGELOG).write_text(changelog)
    try:
        git("commit", "--quiet", "-m", f"release: {version}", "--", CODE, CHANGELOG)
        message = f"Image Cloud {version}\n\n{section}"
        git("tag", "--annotate", f"v{version}", "--cleanup=verbatim", "-m", message)
    except subprocess.CalledProcessError:
        git("reset", "--quiet", "--hard", before)  # the tree was clean
        return 1
    print(f"release: {version} is tagged v{version}; `git push --follow-tags` publishes it")
    return 0


def prepare(version: str) -> tuple[str, str, str]:
    """Return the new texts of both files and the changelog's section.  Raises ValueError."""
    check_version(version)
    check_checkout(version)
    changelog, section = dated((ROOT / CHANGELOG).read_text(), version, datetime.date.today())
    return with_version((ROOT / CODE).read_text(), version), changelog, section


def check_version(version: str) -> None:
    """Raise ValueError unless this is a version of three numbers."""
    if not VERSION.fullmatch(version):
        raise ValueError(f"VERSION={version}: expected three numbers, like 1.0.0")


def check_checkout(version: str) -> None:
    """Raise ValueError unless the checkout can be released as it is."""
    branch = git("symbolic-ref", "--quiet", "--short", "HEAD", check=False)
    if branch != "main":
        raise ValueError(f"on {branch or 'no branch'}: releases are made on main")
    if changed := git("status", "--porcelain"):
        raise ValueError(f"the tree is not clean:\n{changed}")
    if git("tag", "--list", f"v{version}"):
        raise ValueError(f"v{version} is released already")


def with_version(code: str, version: str) -> str:
    """Return the module with the new `__version__`.  Raises ValueError unless it is greater."""
    found = re.search(r'^__version__ = "(.*)"$', code, re.MULTILINE)
    if not found:
        raise ValueError(f"{CODE} has no __version__")
    if numbers(version) <= numbers(found[1]):
        raise ValueError(f"VERSION={version}: expected one after {found[1]}")
    return code.replace(found[0], f'__version__ = "{version}"')


def dated(changelog: str, version: str, today: datetime.date) -> tuple[str, str]:
    """Return the changelog with what is unreleased under `version`, and that section.  Raises ValueError."""
    before, heading, after = changelog.partition(UNRELEASED)
    section = re.split(r"^## ", after, maxsplit=1, flags=re.MULTILINE)[0].strip()
    if not heading or not section:
        raise ValueError(f"{CHANGELOG} has nothing under Unreleased")
    return f"{before}{UNRELEASED}\n## {version} - {today}\n{after}", section


def numbers(version: str) -> list[int]:
    """Return a version's numbers, for comparing."""
    return [int(part) for part in version.split(".")]


def git(*arguments: str, check: bool = True) -> str:
    """Run git in the checkout and return what it prints."""
    words = ["git", *arguments]
    done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=check)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
