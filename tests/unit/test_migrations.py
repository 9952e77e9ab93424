"""A migration leaves what the release before still uses: during an upgrade both run on one database."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "image_cloud/db/migrations"
# What breaks the release before, unless a comment says from which migration on nothing uses it.
BREAKING = re.compile(
    r"\bDROP\s+(TABLE|COLUMN)\b|\bRENAME\b|\bALTER\s+COLUMN\s+\w+\s+(TYPE|SET\s+NOT\s+NULL)\b"
    r"|\bADD\s+COLUMN\s+(?:IF\s+NOT\s+EXISTS\s+)?\w+\s+(?![^,;]*\bDEFAULT\b)[^,;]*\bNOT\s+NULL\b",
    re.IGNORECASE,
)
NOTE = re.compile(r"--.*unused since \d{4}", re.IGNORECASE)


def breaks(text: str) -> list[str]:
    """Return the statements of a migration that break the release before."""
    found = []
    for statement in text.split(";"):
        code = re.sub(r"--.*", "", statement)
        if BREAKING.search(code) and not NOTE.search(statement):
            found.append(" ".join(code.split()))
    return found


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.sql")), ids=lambda file: file.stem)
def test_migrations_are_compatible_with_the_release_before(file: Path) -> None:
    assert breaks(file.read_text()) == []


@pytest.mark.parametrize(
    "text",
    [
        "ALTER TABLE images DROP COLUMN url;",
        "alter table images rename column url to address;",
        "DROP TABLE images;",
        "ALTER TABLE images ALTER COLUMN url TYPE bytea;",
        "ALTER TABLE images ADD COLUMN colour text NOT NULL;",
    ],
)
def test_the_rule_is_held(text: str) -> None:
    assert breaks(text)
    assert not breaks(f"-- Unused since 0007.\n{text}")


def test_what_only_adds_is_allowed() -> None:
    assert not breaks("ALTER TABLE images ADD COLUMN colour text;")
    assert not breaks("ALTER TABLE images ADD COLUMN colour text NOT NULL DEFAULT '';")
