"""How the decoder is cut off: own user, no network, no way to gain rights."""

from __future__ import annotations

import subprocess

from image_cloud.node_files.accounts import Accounts

WITHOUT_NETWORK = {
    True: "unshare --net --",
    False: "unshare --user --map-current-user --net --",
}


def command(accounts: Accounts) -> str:
    """Return the words that start the decoder in its sandbox; they come before its command."""
    words = []
    if has_network_namespaces(accounts.privileged):
        words.append(WITHOUT_NETWORK[accounts.privileged])
    # Ends with supervisord: unshare and another user make the kernel forget what an earlier setpriv said.
    as_user = ["setpriv", "--pdeathsig=TERM", "--no-new-privs", "--"]
    if accounts.privileged:
        user = accounts.decoder
        as_user[1:1] = [f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups"]
    words += as_user
    return " ".join(words)


def may_bind_low_ports(accounts: Accounts) -> str:
    """Return the words that start nginx as the run user with the one right that port 80 needs."""
    user, right = accounts.run, "+net_bind_service"
    return (
        f"setpriv --reuid={user.uid} --regid={user.gid} --clear-groups "
        f"--inh-caps={right} --ambient-caps={right} --pdeathsig=QUIT --"
    )


def has_network_namespaces(privileged: bool) -> bool:
    """Try whether this machine lets us start a process without network."""
    words = [*WITHOUT_NETWORK[privileged].split(), "true"]
    try:
        return subprocess.run(words, capture_output=True).returncode == 0  # noqa: S603
    except FileNotFoundError:
        return False
