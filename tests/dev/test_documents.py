"""What documents say of the repository: files that they name exist, and worked examples stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
FOLDERS = "image_cloud|falcon_app|daemons|nginx|supervisor.d|ansible|tests|bench|dev|docs|client"
PATH = re.compile(rf"(?<![\w/.-])(?:{FOLDERS})/[\w./-]*\w")
WRITTEN_LATER = ("ansible/group_vars/all/vault.yml", "bench/results/")
ROW = re.compile(r"^\| (`[^|]*/[^|]*`|`[\w.]+`) \| (`.*) \|$", re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_are_named_exist(document: Path) -> None:
    named = set(PATH.findall(document.read_text()))
    missing = {name for name in named if not (ROOT / name).exists()}
    assert not {name for name in missing if not name.startswith(WRITTEN_LATER)}


def test_worked_examples_are_what_the_code_says() -> None:
    rows = ROW.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert len(rows) > 15
    for files, text in rows:
        quoted = re.findall("`([^`]+)`", text)[0]
        for file in re.findall("`([^`]+)`", files):
            assert quoted in (ROOT / file).read_text(), f"{file} has no {quoted}"
