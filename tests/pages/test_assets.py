"""What browsers load: the files that the manifest lists, each with its licence."""

from __future__ import annotations

import hashlib
import re

from tests.stack.running import CHECKOUT

ASSETS = CHECKOUT / "nginx/assets"
VENDOR = ASSETS / "vendor"


def test_the_files_of_others_are_those_of_the_manifest() -> None:
    lines = [line.split("  ") for line in (VENDOR / "MANIFEST").read_text().splitlines()]
    listed = {name: digest for digest, name in lines}
    there = {path.name for path in VENDOR.iterdir()} - {"MANIFEST"}
    assert set(listed) == there
    for name, digest in listed.items():
        assert hashlib.sha512((VENDOR / name).read_bytes()).hexdigest() == digest, name


def test_each_library_comes_with_its_licence() -> None:
    libraries = {re.split(r"[.-]", path.name)[0] for path in VENDOR.glob("*.[cj]s*")} - {"swagger"}
    for name in (*libraries, "swagger-ui"):
        assert (VENDOR / f"{name}.LICENSE.txt").stat().st_size > 500


def test_templates_have_no_inline_script_or_style() -> None:
    for path in (CHECKOUT / "falcon_app/pages/templates").glob("*.html"):
        text = path.read_text()
        assert not re.search(
            r"<style|\sstyle=|\son[a-z]+=|javascript:|(src|href)=\"https?:", text
        ), path
        assert not re.search(r"<script(?![^>]*\bsrc=\"/assets/)", text), path
        assert "|safe" not in text.replace(" ", ""), path
