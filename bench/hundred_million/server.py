"""A PostgreSQL as the stack starts it, for a measurement."""

from __future__ import annotations

from image_cloud.stack.postgres import SETTINGS
from tests.postgres import Cluster

OWN = ("listen_addresses", "port", "unix_socket", "log_line_prefix")


def server() -> Cluster:
    """Return it, to be entered: with the stack's settings, but on a socket of its own, and syncing."""
    lines = [line for line in SETTINGS.splitlines() if not line.startswith(OWN)]
    return Cluster("\n".join([*lines, "listen_addresses = ''", ""]))
