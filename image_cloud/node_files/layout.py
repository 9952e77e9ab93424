"""The folders of a home, and whose they are.

Root keeps what root's supervisord reads and writes (run, sockets, log): no program of the stack may
replace it.  The run user owns data.  The decoder's user has no way into a home.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from image_cloud.config import Config
from image_cloud.node_files.accounts import Account, Accounts
from image_cloud.node_files.errors import CannotStart
from image_cloud.node_files.files import make_folder
from image_cloud.node_files.home import Home
from image_cloud.storage.folders import FOLDERS, LOCAL, spread

PRIVATE, READABLE = 0o700, 0o2750
LEAST_FREE_BYTES = 100_000_000


def make_root(home: Home, accounts: Accounts) -> None:
    """Make the home itself."""
    make_folder(home.root, 0o750, group_of=accounts.run)
    require_space(home.root)


def make_folders(home: Home, config: Config, accounts: Accounts) -> None:
    """Make every folder below, and those that the configuration puts elsewhere."""
    run = accounts.run
    for path in (home.run, home.sockets, home.log, home.nginx, Path(config.tokens.file).parent):
        if path.is_relative_to(home.root) and path != home.root:
            make_folder(path, 0o750, group_of=run)
    storage, local = Path(config.storage.path), Path(config.storage.local)
    _make_all(run, READABLE, home.pools, home.nginx_log, home.sample, storage, local)
    for root in (storage, local):
        spread(root)
    _make_all(run, READABLE, home.beats, *(storage / name for name in FOLDERS))
    _make_all(run, READABLE, *(local / name for name in LOCAL))
    _make_all(run, PRIVATE, home.postgres_run, home.nginx_temp, home.metrics)
    history = Path(config.node.history).parent
    if history == home.history or not history.exists():  # no folder of somebody else's becomes ours
        _make_all(run, PRIVATE, history)


def require_space(folder: Path) -> None:
    """Raise CannotStart where the disk is as good as full."""
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        megabytes = f"{free // 10**6} MB free, {LEAST_FREE_BYTES // 10**6} MB are needed"
        raise CannotStart(f"the disk is full: {folder} has {megabytes}")


def _make_all(owner: Account, mode: int, *folders: Path) -> None:
    for folder in folders:
        make_folder(folder, mode, owner)
