"""The folders of a home."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from image_cloud.config import load_config
from image_cloud.node_files.accounts import Account, Accounts
from image_cloud.node_files.home import Home
from image_cloud.node_files.layout import make_folders


@pytest.fixture
def accounts() -> Accounts:
    me = Account("me", os.getuid(), os.getgid())
    return Accounts(me, me, privileged=False)


def made(root: Path, accounts: Accounts, history: str) -> None:
    config = load_config(None, home=str(root), overrides=f"node.history={history}")
    make_folders(Home(root), config, accounts)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_the_history_has_a_folder_of_its_own(tmp_path: Path, accounts: Accounts) -> None:
    (tmp_path / "history").mkdir(mode=0o755)
    made(tmp_path, accounts, f"{tmp_path}/history/history.sqlite")
    made(tmp_path, accounts, f"{tmp_path}/elsewhere/x")
    assert mode(tmp_path / "history") == mode(tmp_path / "elsewhere") == 0o700


@pytest.mark.parametrize("folder", [".", "log", "storage"])
def test_no_other_folder_is_closed_for_the_history(
    tmp_path: Path, accounts: Accounts, folder: str
) -> None:
    made(tmp_path, accounts, f"{tmp_path}/history/history.sqlite")
    before = mode(tmp_path / folder)
    made(tmp_path, accounts, f"{tmp_path}/{folder}/history.sqlite")
    assert mode(tmp_path / folder) == before
