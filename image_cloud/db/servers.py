"""The servers that one connection string names: a primary and its standbys.

libpq would try them in turn, too, but not where it is driven as we drive it (patience.py): one that does not
answer at all would use up the time of all.
"""

from __future__ import annotations

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from image_cloud.config.sections import Database as Settings
from image_cloud.db import patience
from image_cloud.db.patience import PatientConnection


class Servers:
    """Connects to the first server that answers and suits, beginning with the one that did so last.

    Connections show themselves as `name`.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._servers = each_server(settings.dsn)

    def connect(self) -> PatientConnection:
        """Return a new connection; each server gets the whole time for it.

        Raises psycopg2.OperationalError with what all of them said.
        """
        said = []
        for server in list(self._servers):
            try:
                connection = self._connect(server)
            except psycopg2.OperationalError as error:
                said.append(str(error).strip())
            else:
                self._begin_with(server)
                return connection
        raise psycopg2.OperationalError("\n".join(said))

    def _connect(self, server: str) -> PatientConnection:
        s = self._settings
        return patience.connect(server, s.connect_timeout, s.statement_timeout, self._name)

    def _begin_with(self, server: str) -> None:
        if self._servers[0] != server:
            self._servers = [server, *(other for other in self._servers if other != server)]


def each_server(dsn: str) -> list[str]:
    """Return a connection string for each server that `dsn` names; `dsn` itself where it lists none."""
    parameters = parse_dsn(dsn)
    lists = {name: parameters.get(name, "").split(",") for name in ("host", "hostaddr", "port")}
    count = max(len(lists["host"]), len(lists["hostaddr"]))
    if count == 1 or any(len(values) not in (1, count) for values in lists.values()):
        return [dsn]
    return [
        make_dsn(
            **parameters | {name: values[number % len(values)] for name, values in lists.items()}
        )
        for number in range(count)
    ]
