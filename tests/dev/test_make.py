"""The Makefile: `make help` tells of every target, and documents name only targets that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]


def targets() -> set[str]:
    text = (ROOT / "Makefile").read_text().replace("\\\n", "")
    return set(re.findall(r"^\.PHONY:(.*)$", text, re.MULTILINE)[0].split())


def test_help_tells_of_every_target_in_one_line() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    told = re.findall(r"^  ([a-z-]+) +[a-z]\S* \S.*$", done.stdout, re.MULTILINE)
    assert sorted(told) == sorted(targets())
    assert max(map(len, done.stdout.splitlines())) <= 110


def test_every_rule_is_a_target() -> None:
    rules = re.findall(r"^([a-z-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert sorted(rules) == sorted(targets())


def commands(document: Path) -> str:
    """Return the code of a document: its blocks and its words between backticks."""
    blocks = re.split(r"^```.*\n", document.read_text(), flags=re.MULTILINE)
    return "\n".join([*blocks[1::2], *re.findall(r"`([^`]+)`", "".join(blocks[::2]))])


def test_documents_name_targets_that_exist() -> None:
    pattern = re.compile(r"^(?:\./run|make)[ \t]+([a-z-]+)", re.MULTILINE)
    named = {
        (path.name, target) for path in DOCUMENTS for target in pattern.findall(commands(path))
    }
    assert {target for _, target in named} >= {"unit", "test", "lint", "clean", "up"}
    assert not {one for one in named if one[1] not in targets()}
