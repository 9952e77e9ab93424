"""The wheels of a release: built alike whatever headers there are, and linked to nothing that hosts lack."""

from __future__ import annotations

import re
import subprocess
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPILES = ROOT / "image_cloud/stack/compile_pillow_simd.sh"
LIBRARIES = ROOT / "ansible/roles/image_cloud/vars/main.yml"
# setup.py of pillow-simd 12.1.1.post0: pil_build_ext.ext_feature.features.
VERSION = "12.1.1.post0"
FEATURES = {
    "zlib", "jpeg", "tiff", "freetype", "raqm", "lcms", "webp", "jpeg2000", "imagequant", "xcb", "avif",
}  # fmt: skip
SHIPPED = "libjpeg.so.62"


def features(setting: str) -> set[str]:
    found = re.search(rf'^{setting}="(.*)"$', COMPILES.read_text(), re.MULTILINE)
    assert found
    return set(found[1].split())


def linked(wheel: Path, *libraries: str, brings: str | None = None) -> Path:
    """Write a wheel whose extension is linked to these libraries."""
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("PIL/__init__.py", "")
        for number, library in enumerate(libraries):
            archive.write(_extension(wheel.parent, library), f"PIL/_part{number}.so")
        if brings:
            archive.write(_extension(wheel.parent, SHIPPED), f"pillow.libs/{brings}")
    return wheel


def _extension(folder: Path, library: str) -> Path:
    """Link an empty extension to an empty library of that name."""
    subprocess.run(
        ["cc", "-shared", "-x", "c", "/dev/null", f"-Wl,-soname,{library}", "-o", folder / library],
        check=True,
    )
    extension = folder / f"{library}.extension"
    subprocess.run(
        ["cc", "-shared", "-Wl,--no-as-needed", "-x", "c", "/dev/null", "-x", "none", folder / library,
         "-o", extension],
        check=True,
    )  # fmt: skip
    return extension


def checked(*wheels: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", ROOT / "ansible/check_libraries.sh", *wheels], capture_output=True, text=True
    )


def test_each_feature_of_pillow_simd_is_named_once() -> None:
    assert f"pillow-simd=={VERSION} " in (ROOT / "requirements-pillow-simd.txt").read_text()
    assert features("enabled") | features("disabled") == FEATURES
    assert not features("enabled") & features("disabled")


def test_what_hosts_have_is_accepted(tmp_path: Path) -> None:
    done = checked(linked(tmp_path / "pillow_simd-1-py3-none-any.whl", SHIPPED, "libc.so.6"))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("library", ["libimagequant.so.0", "libjpeg.so.8", "libfreetype.so.6"])
def test_what_hosts_lack_is_refused_and_named(tmp_path: Path, library: str) -> None:
    good = linked(tmp_path / "good-1-py3-none-any.whl", SHIPPED)
    done = checked(linked(tmp_path / "pillow_simd-1-py3-none-any.whl", SHIPPED, library), good)
    assert done.returncode == 1
    assert f"pillow_simd-1-py3-none-any.whl: _part1.so is linked to {library}," in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_wheel_may_bring_its_libraries(tmp_path: Path) -> None:
    own = "libown-0123.so.1"
    wheel = tmp_path / "own-1-py3-none-any.whl"
    assert checked(linked(wheel, own)).returncode == 1
    assert checked(linked(wheel, own, brings=own)).returncode == 0


def test_a_broken_extension_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "broken-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("broken.so", "no ELF")
    assert checked(wheel).returncode != 0


def test_the_play_installs_what_wheels_are_linked_to() -> None:
    """The list that the check reads is the one that the play installs and the test's hosts have."""
    pairs = dict(re.findall(r"^  (lib\S+): (\S+)$", LIBRARIES.read_text(), re.MULTILINE))
    installs = (ROOT / "ansible/roles/image_cloud/tasks/install.yml").read_text()
    hosts = (ROOT / "tests/deploy/base_image.py").read_text()
    assert SHIPPED in pairs
    assert "image_cloud_libraries.values()" in installs
    assert not [package for package in pairs.values() if f'"{package}"' not in hosts]
