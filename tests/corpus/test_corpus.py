"""Golden test: every picture right within tolerance, or refused with an error of ours."""

from __future__ import annotations

import collections
import dataclasses
import statistics
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from image_cloud.picture.formats import sniff
from image_cloud.picture.structure import is_whole
from image_cloud.picture.variant import Focus, Recipe
from tests.corpus.pillow_images import pillow_images
from tests.corpus.sandbox import Sandbox

PHOTO_FOLDERS = (Path("/usr/share/wallpapers"), Path("/usr/share/backgrounds"))
PHOTO_SUFFIXES = frozenset({".jpg", ".png", ".webp"})
MAY_DIE = ("crash-", "oom-", "timeout-", "decompression_bomb")
"""Files that broke decoders before; a dead worker is the sandbox doing its work."""
LEAST_DB = {"jpeg": 28.0}
LEAST_DB_ELSEWHERE = 33.0
STRIPES = frozenset({"hopper_bad_exif.jpg"})
"""Black and white lines one pixel high: what a DCT shortcut makes of them cannot be compared."""
AS_BROWSERS = frozenset(
    {
        "chunk_multi_actl.png", "pil123p.png", "pil123rgba.png",
        "badrle.bmp", "pal4rle.bmp", "pal4rletrns.bmp", "pal8rletrns.bmp",
        "mmap_error.bmp",
    }
)  # fmt: skip
"""Browsers show the animation, PIL the picture that stands in for it; they apply a gamma that PIL does not;
PIL misreads BMP's runs that skip pixels, and rows that begin within the palette."""
MORE_PATIENT = frozenset(
    {
        "chunk_no_fctl.png", "chunk_no_fdat.png", "chunk_repeat_fctl.png", "sequence_fdat_fctl.png",
        "sequence_start.png", "png_decompression_dos.png", "truncated_end_chunk.png",
        "unknown_compression_method.png", "rgba32abf.bmp", "truncated_jpeg.jpg",
        "badpalettesize.bmp", "pal2.bmp", "pal8os2v2-16.bmp", "pal8oversizepal.bmp", "rgb16-231.bmp",
        "rgb32-111110.bmp", "rgb32bf.bmp", "rgba16-4444.bmp",
    }
)  # fmt: skip
"""What PIL refuses and is a picture all the same."""
LEAST_MEDIAN_DB = 42.0
MOST_S, MOST_MIB = 5.0, 1024.0

RECIPES = (
    Recipe(100, 100, format="png"),
    Recipe(120, 80, "pad", format="png"),
    Recipe(64, 48, "stretch", format="png"),
    Recipe(90, 0, format="png"),
    Recipe(300, 300, enlarge=True, format="png"),
    Recipe(0, 150, format="tiff"),
    Recipe(90, 120, "crop", format="png", focus=Focus(200, 700)),
    Recipe(150, 60, "crop", format="png"),
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    yield sandbox
    sandbox.close()


def test_pictures_of_pillows_own_tests(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = judged(sandbox, pillow_images())
    show(answers, capsys)
    assert len(answers) > 1000
    assert not wrong(answers)
    assert median_db(answers) > LEAST_MEDIAN_DB


def test_photographs(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    photos = [path for folder in PHOTO_FOLDERS for path in folder.rglob("*")]
    photos = sorted(p for p in photos if p.suffix in PHOTO_SUFFIXES and not p.is_symlink())
    if not photos:
        pytest.skip("needs plasma-workspace-wallpapers, gnome-backgrounds, mate-backgrounds")
    answers = judged(sandbox, photos)
    show(answers, capsys)
    assert not wrong(answers)
    assert {answer["outcome"] for answer in answers.values()} == {"right"}
    assert median_db(answers) > LEAST_MEDIAN_DB


def judged(sandbox: Sandbox, paths: Iterable[Path]) -> dict[Path, dict[str, Any]]:
    """Ask the sandbox about every file, each with one of the recipes."""
    answers = {}
    for path in paths:
        recipe = RECIPES[zlib.crc32(path.name.encode()) % len(RECIPES)]
        answer = sandbox.ask({"path": str(path), "recipe": dataclasses.asdict(recipe)})
        answers[path] = answer | looked_at(path)
    return answers


def looked_at(path: Path) -> dict[str, Any]:
    """Return what `image_cloud.picture.formats` says of a file."""
    with path.open("rb") as file:
        format = sniff(file.read(64))
        complete = not format or is_whole(file, format.name)
    return {"format": format.name if format else "none", "complete": complete}


def wrong(answers: dict[Path, dict[str, Any]]) -> list[str]:
    """Name every file that is neither right nor rightly refused, and why."""
    reasons = ((path.name, complaint(path, answer)) for path, answer in answers.items())
    return [f"{name}: {reason}" for name, reason in reasons if reason]


def complaint(path: Path, answer: dict[str, Any]) -> str:
    outcome = answer["outcome"]
    if outcome in ("died", "hung"):
        return "" if path.name.startswith(MAY_DIE) else f"{outcome}, {answer['why']}"
    if outcome == "unjudged" and path.name in MORE_PATIENT:
        return ""
    if outcome not in ("right", "refused"):
        return f"{outcome}: {answer['why']}"
    if outcome == "refused" and answer["reference"]:
        return f"refused ({answer['why']}) although it can be decoded"
    if outcome == "right" and not answer["complete"]:
        return "decodes, but counts as cut off"
    least_db = LEAST_DB.get(answer["format"], LEAST_DB_ELSEWHERE)
    if path.name not in STRIPES | AS_BROWSERS and answer.get("psnr_db", least_db) < least_db:
        return f"{answer['psnr_db']:.1f} dB"
    if answer["seconds"] > MOST_S or answer["peak_mib"] > MOST_MIB:
        return f"{answer['seconds']:.1f} s, {answer['peak_mib']:.0f} MiB"
    return ""


def median_db(answers: dict[Path, dict[str, Any]]) -> float:
    found: list[float] = [a["psnr_db"] for a in answers.values() if "psnr_db" in a]
    return statistics.median(found)


def show(answers: dict[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    """Print the table for the closing note."""
    with capsys.disabled():
        print("\nformat     right refused  died  worst s  MiB  PSNR least/median dB  refusals")
        for format in sorted({answer["format"] for answer in answers.values()}):
            print(row(format, [a for a in answers.values() if a["format"] == format]))
        print(row("all", list(answers.values())))


def row(name: str, answers: list[dict[str, Any]]) -> str:
    counts = collections.Counter(answer["outcome"] for answer in answers)
    codes = collections.Counter(a["code"] for a in answers if a["outcome"] == "refused")
    decibels = [a["psnr_db"] for a in answers if "psnr_db" in a]
    spread = f"{min(decibels):5.1f} / {statistics.median(decibels):5.1f}" if decibels else "-"
    return (
        f"{name:<10} {counts['right']:5} {counts['refused']:7} {counts['died']:5}"
        f" {max(a.get('seconds', 0) for a in answers):8.2f}"
        f" {max(a.get('peak_mib', 0) for a in answers):4.0f}  {spread:>20}  "
        + ", ".join(f"{code} {count}" for code, count in codes.most_common())
    )
