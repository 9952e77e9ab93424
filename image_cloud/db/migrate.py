"""Numbered SQL migrations, each applied once, in order, under an advisory lock."""

from __future__ import annotations

import importlib.resources
import re

from image_cloud.db.connect import Database

LOCK_ID = 0x1C10D


def migrations() -> list[tuple[int, str, str]]:
    """Return (number, file name, SQL) of every migration in order."""
    folder = importlib.resources.files("image_cloud.db") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if re.match(r"\d{4}_", entry.name))
    return [(int(name[:4]), name, (folder / name).read_text("utf-8")) for name in names]


def migrate(database: Database) -> list[str]:
    """Apply what is missing and return the file names applied.  Raises DatabaseUnavailable."""
    applied = []
    with database.transaction() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK_ID,))
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations ("
            " number integer PRIMARY KEY, name text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        cursor.execute("SELECT number FROM schema_migrations")
        known = {number for (number,) in cursor.fetchall()}
        for number, name, sql in migrations():
            if number not in known:
                cursor.execute(sql)
                cursor.execute(
                    "INSERT INTO schema_migrations (number, name) VALUES (%s, %s)", (number, name)
                )
                applied.append(name)
    return applied
