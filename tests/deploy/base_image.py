"""The root that all hosts are overlays of: Debian 12 with systemd, sshd and the packages that roles install.

The packages are there because hosts of the test reach no mirror; nothing of them is configured.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache/deploy-test"
BASE = ("systemd", "systemd-sysv", "dbus", "openssh-server", "python3", "python3-apt", "iproute2")
ROLES = (
    "acl", "ca-certificates", "curl", "logrotate", "python3-venv", "postgresql-15", "postgresql-client-15",
    "nginx",
    "libnginx-mod-http-ndk", "libnginx-mod-http-lua", "libjpeg62-turbo", "libtiff6", "libwebp7",
    "libwebpmux3", "libwebpdemux2", "liblcms2-2", "libopenjp2-7", "zlib1g",
    "glusterfs-server", "glusterfs-client", "prometheus-node-exporter", "prometheus-postgres-exporter",
)  # fmt: skip
INSTALL = """
set -e
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
mkdir -p /etc/postgresql-common
echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d
apt-get -q update
apt-get -q -y --no-install-recommends install "$@"
apt-get clean
systemctl disable glusterd prometheus-node-exporter prometheus-postgres-exporter
rm /usr/sbin/policy-rc.d /etc/postgresql-common/createcluster.conf
: >/etc/machine-id
mkdir -p /root/.ssh && chmod 700 /root/.ssh
"""


def make() -> Path:
    """Return the root, made when it is not there yet (a minute and a half)."""
    digest = hashlib.sha256("\n".join((*BASE, *ROLES, INSTALL)).encode()).hexdigest()[:8]
    root = CACHE / f"bookworm-{digest}"
    if root.exists():
        return root
    print("deploy-test: making the hosts' Debian (once)", flush=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    draft = root.with_suffix(".new")
    shutil.rmtree(draft, ignore_errors=True)
    log = CACHE / "bookworm.log"
    include = f"--include={','.join(BASE)}"
    _run(["debootstrap", "--variant=minbase", include, "bookworm", draft, _mirror()], log)
    shutil.copy("/etc/resolv.conf", draft / "etc/resolv.conf")
    _run(["chroot", draft, "sh", "-c", INSTALL, "sh", *ROLES], log)
    draft.rename(root)
    return root


def _mirror() -> str:
    """Return the mirror that this machine uses."""
    for file in ("sources.list.d/debian.sources", "sources.list"):
        path = Path("/etc/apt") / file
        found = (
            re.search(r"^(?:URIs:|deb) *(http\S+)", path.read_text(), re.M)
            if path.exists()
            else None
        )
        if found:
            return found[1]
    return "http://deb.debian.org/debian"


def _run(command: list[str | Path], log: Path) -> None:
    with open(log, "wb") as output:
        done = subprocess.run(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    if done.returncode:
        lines = log.read_text(errors="replace").splitlines()[-20:]
        raise SystemExit("\n".join([*lines, f"deploy-test: {command[0]} failed"]))
