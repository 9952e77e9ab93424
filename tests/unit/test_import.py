"""`image-cloud import`: the lists that it reads, and what it says of rows that it cannot read."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from image_cloud.cli import main
from image_cloud.picture.key import key_of
from image_cloud.storage.store import Store
from tests.storage import new_store
from tests.unit.pictures import quarters, saved

URL = "http://old.example/a.jpg"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a node whose database is away; the janitor records later what is imported."""
    monkeypatch.setenv("IMAGE_CLOUD_HOME", str(tmp_path))
    new_store(tmp_path / "storage")
    (tmp_path / "image_cloud.ini").write_text("[database]\ndsn = host=/nonexistent\n")
    saved(tmp_path, quarters(), "jpeg").rename(tmp_path / "old one.jpg")
    return tmp_path


def imported(home: Path, line: str) -> int:
    (home / "list").write_bytes(line.encode())
    return main(["import", str(home / "list"), "--root", str(home)])


def has(home: Path, url: str) -> bool:
    return Store.at(home / "storage").originals.find(key_of(url)) is not None


@pytest.mark.parametrize(
    ("line", "url"),
    [
        (f"{URL}\told one.jpg\n", URL),
        (f"{URL} \t\told one.jpg\r\n", URL),
        (f"\ufeff{URL}\told one.jpg", URL),
        ("http://old.example/a b.jpg\told one.jpg\n", "http://old.example/a b.jpg"),
        (f"{URL} old one.jpg\n", URL),
        (f"  {URL}    old one.jpg \n", URL),
        ('"http://old.example/a b.jpg" old one.jpg\n', "http://old.example/a b.jpg"),
        (f'"{URL}"\told one.jpg\n', URL),
    ],
)
def test_a_tab_or_blanks_separate_url_and_path(home: Path, line: str, url: str) -> None:
    assert imported(home, line) == 0
    assert has(home, url)


@pytest.mark.parametrize("line", [URL, f"{URL} ", f"{URL}\t", "old", f'"{URL}"', "\told one.jpg"])
def test_a_line_without_separator_is_told_so(
    home: Path, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(home, f"\n{line}\n{URL}\told one.jpg\n") == 1
    said = capsys.readouterr().out
    assert "2: not taken: " in said
    assert "separated by a tab" in said
    assert "1 not taken, 1 imported" in said


def test_a_missing_file_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert imported(home, "http://old.example/a b.jpg old one.jpg\n") == 1
    assert "b.jpg old one.jpg: No such file" in capsys.readouterr().out


def test_empty_values_of_an_sqlite_row_are_told(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with sqlite3.connect(home / "old.db") as database:
        database.execute("create table pictures (url text, path text)")
        database.execute("insert into pictures values (?, null)", [URL])
    query = ["--query", "select url, path from pictures"]
    assert main(["import", "--sqlite", str(home / "old.db"), *query]) == 1
    assert f"1: not taken: {URL}: expected URL and path" in capsys.readouterr().out


def test_the_documented_query_takes_an_old_schema_over(home: Path) -> None:
    """The first row of a URL counts: the newest."""
    legacy = (Path(__file__).parents[2] / "docs/legacy.md").read_text()
    schema, query = re.findall(r"(create table images .*?;)|--query \"(.*?)\"", legacy, re.DOTALL)
    (home / "ab/cd").mkdir(parents=True)
    (home / "old one.jpg").rename(home / "ab/cd/abcdef.jpg")
    failed = "http://old.example/failed.jpg"
    with sqlite3.connect(home / "old.db") as database:
        database.execute(schema[0])
        rows = [(URL, "gone", 200, 1), (URL, "abcdef", 200, 2), (failed, "abcdef", 404, 3)]
        database.executemany("insert into images values (?, ?, 'jpg', ?, ?)", rows)
    source = ["--sqlite", str(home / "old.db"), "--root", str(home)]
    assert (
        main(["import", *source, "--query", query[1]]) == 1
    )  # its older row names a file that is gone
    assert has(home, URL)
    assert not has(home, failed)
