"""nginx's files under the home: the checkout's, copied, and what differs from node to node."""

from __future__ import annotations

import resource
from pathlib import Path

from image_cloud.config import Config
from image_cloud.node_files.access import why_unreadable
from image_cloud.node_files.accounts import Account
from image_cloud.node_files.errors import CannotStart
from image_cloud.node_files.files import Planned
from image_cloud.node_files.home import Home
from image_cloud.node_files.nginx_node import render_cors, render_node

MODULES = Path("/usr/lib/nginx/modules")  # of Debian's and Ubuntu's packages
FILLED_IN = ("lua", "maps", "snippets", "sites")
COPIED = "assets"  # what browsers load
OPEN_FILES = 65536

SAMPLE_SITE = """\
# Written by the stack at every start: a few pictures to fetch without internet.
server {{
    listen {sample_origin};
    root {folder};
    access_log off;
    types {{ image/jpeg jpg; image/png png; image/webp webp; }}
    location / {{ limit_except GET {{ deny all; }} }}
}}
"""


def open_files() -> int:
    """Return how many files a process may have open here, at most OPEN_FILES."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)


def plan(home: Home, config: Config, checkout: Path, user: Account) -> list[Planned]:
    """Return every file of `run/nginx`; nginx runs as `user`."""
    _require_tls(config, user)
    source = checkout / "nginx"
    files = [
        Planned(home.nginx / path.relative_to(source), fill_in(path.read_text("utf-8"), home))
        for folder in FILLED_IN
        for path in _files_in(source / folder)
    ]
    files += [
        Planned(home.nginx / path.relative_to(source), path.read_text("utf-8"))
        for path in _files_in(source / COPIED)
    ]
    frame = fill_in((source / "nginx.conf.in").read_text(encoding="utf-8"), home)
    sample = SAMPLE_SITE.format(sample_origin=config.download.sample_origin, folder=home.sample)
    files.append(Planned(home.nginx / "nginx.conf", frame))
    files.append(Planned(home.nginx / "node.conf", render_node(config)))
    files.append(Planned(home.nginx / "cors.conf", render_cors(config)))
    files.append(Planned(home.nginx / "local/sample.conf", sample))
    return files


def _files_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def _require_tls(config: Config, user: Account) -> None:
    """Raise CannotStart where `user` cannot read what TLS needs."""
    for option in ("tls_certificate", "tls_key"):
        file = getattr(config.clients, option)
        if not file:
            continue
        reason = why_unreadable(user, Path(file))
        if reason:
            raise CannotStart(f"[clients] {option} = {file}: {reason}")


def fill_in(text: str, home: Home) -> str:
    """Fill the places `@...@` of one of our files."""
    if not (MODULES / "ngx_http_lua_module.so").exists():
        raise CannotStart(f"{MODULES} lacks the Lua module (Debian package libnginx-mod-http-lua)")
    places = {
        "@modules@": MODULES,
        "@run@": home.nginx,
        "@log@": home.nginx_log,
        "@open_files@": open_files(),
        "@connections@": max(64, open_files() // 4),
        "@open_pictures@": max(16, open_files() // 8),
    }
    for place, value in places.items():
        text = text.replace(place, str(value))
    return text
