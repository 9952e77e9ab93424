"""`image-cloud config check`: the ini, and the files that people write beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from image_cloud.cli import main
from tests.decoding import library_without_webp

SECRET = "s3cr3t-value"

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IMAGE_CLOUD_HOME", str(tmp_path))
    (tmp_path / "image_cloud.ini").write_text("[resize]\nquality = 80\n")
    return tmp_path


def check(home: Path) -> int:
    return main(["config", "check", str(home / "image_cloud.ini")])


def origins(home: Path, text: str, mode: int = 0o600) -> None:
    (home / "origins.json").write_text(text)
    (home / "origins.json").chmod(mode)


def test_without_the_files_and_with_good_ones(home: Path) -> None:
    assert check(home) == 0
    (home / "max_downloads.json").write_text('{"default": 3}')
    origins(home, '{"shop.example": {"Referer": "https://shop.example/"}}')
    assert check(home) == 0


def test_every_mistake_of_every_file_is_told(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "max_downloads.json").write_text('{"shop.example": 0}')
    origins(home, f'{{"shop.example": {{"Host": "{SECRET}", "Cookie": 5}}, "*": {{}}}}')
    assert check(home) == 1
    said = capsys.readouterr().err
    assert "4 mistakes" in said
    assert all(what in said for what in ("max_downloads.json", "'Host'", "'Cookie'", "'*'"))
    assert SECRET not in said


def test_variants_lie_beside_the_storage_and_not_within(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "image_cloud.ini").write_text(
        "[storage]\npath = /data/far\nvariants_path = /data/near\n"
    )
    assert check(home) == 0
    (home / "image_cloud.ini").write_text("[storage]\npath = /data\nvariants_path = /data/near\n")
    assert check(home) == 1
    assert "variants_path: expected a folder outside that of path" in capsys.readouterr().err


def test_a_mode_that_lets_others_read(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    origins(home, "{}", 0o644)
    assert check(home) == 1
    assert "0600" in capsys.readouterr().err


def test_without_a_file_the_homes_own_is_read(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "run").mkdir()
    (home / "run/image_cloud.ini").write_text("")
    (home / "image_cloud.ini").write_text("[resize]\nquality = high\n")
    assert main(["config", "check"]) == 1
    assert "quality" in capsys.readouterr().err


def test_mistakes_of_the_ini_and_of_the_files_beside_it_are_told_together(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "image_cloud.ini").write_text("[resize]\nquality = high\n[nonsense]\n")
    (home / "max_downloads.json").write_text('{"shop.example": 0}')
    origins(home, '{"shop.example": {"Host": "x"}}')
    assert check(home) == 1
    said = capsys.readouterr().err
    assert "4 mistakes" in said
    told = ("[resize] quality", "[nonsense]", "max_downloads.json", "origins.json")
    assert all(what in said for what in told)


@pytest.fixture
def without_webp(home: Path) -> dict[str, str]:
    """Return the environment of programs whose imaging library was built without WebP; the ini wants WebP."""
    (home / "image_cloud.ini").write_text("[resize]\nformat_when_resize = webp\nquality = high\n")
    return os.environ | {
        # `make unit` installs no package.
        "PYTHONPATH": os.pathsep.join((library_without_webp(home), str(ROOT))),
        "IMAGE_CLOUD_CONFIG": str(home / "image_cloud.ini"),
    }


@pytest.mark.parametrize(
    ("arguments", "pool"),
    [
        (["-c", "from falcon_app import app; app.create_app()"], "front"),
        (["-c", "from falcon_app import app; app.create_app()"], "fetch"),
        (
            ["-c", "from image_cloud.cli import main; raise SystemExit(main(['config', 'check']))"],
            "",
        ),
    ],
)
def test_a_format_that_the_build_cannot_write_is_refused(
    arguments: list[str], pool: str, without_webp: dict[str, str]
) -> None:
    environment = without_webp | {"IMAGE_CLOUD_POOL": pool}
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "[resize] format_when_resize = webp: this installation cannot write it" in done.stderr
    assert "expected one of jpeg, png" in done.stderr
    assert "[resize] quality" in done.stderr
