"""The examples of docs/howto.md, run as they stand there."""

from __future__ import annotations

import html
import os
import re
import subprocess
from pathlib import Path

import pytest
import requests

from tests.frontdoor.client import jpeg
from tests.origin import Origin
from tests.stack.running import CHECKOUT, Stack

EXAMPLES = re.findall(
    r"^```(php|python|javascript)\n(.*?)^```", (CHECKOUT / "docs/howto.md").read_text(), re.M | re.S
)
PROGRAMS = {
    "php": ("/usr/bin/php", "-d", "arg_separator.output=&amp;"),  # as some hosts have it
    "python": (str(CHECKOUT / ".venv/bin/python"),),
    "javascript": ("/usr/bin/node",),
}


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    """Return the token of the client that the examples sign for."""
    return stack.cli("token", "add", "shop", "read,prefetch").split()[-1]


def run(stack: Stack, token: str, language: str, code: str, url: str, folder: Path) -> str:
    file = folder / f"example.{language.replace('javascript', 'cjs')}"
    file.write_text(code)
    return subprocess.run(
        [*PROGRAMS[language], str(file), url],
        env={"IMAGE_CLOUD_URL": stack.url, "IMAGE_CLOUD_TOKEN": token, "PATH": os.defpath},
        cwd=folder, capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip


@pytest.mark.parametrize(("language", "code"), EXAMPLES, ids=[one[0] for one in EXAMPLES])
def test_an_example(
    language: str, code: str, stack: Stack, token: str, origin: Origin, tmp_path: Path
) -> None:
    url = origin.serve("/a%20b~c*(1)+d.jpg?x=1&y=2!", jpeg(500, 400))
    told = run(stack, token, language, code, url, tmp_path)
    written = tmp_path / "picture.jpg"
    assert written.exists() or stack.url in told
    for signed in re.findall(rf"{re.escape(stack.url)}[^\s\"]+", html.unescape(told)):
        answer = requests.get(signed, timeout=60)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/jpeg"), signed
    assert not written.exists() or written.read_bytes()[:2] == b"\xff\xd8"


def test_an_example_tells_what_went_wrong(stack: Stack, token: str, tmp_path: Path) -> None:
    code = next(code for language, code in EXAMPLES if "no picture" in code)
    told = run(stack, token, "php", code, "http://127.0.0.1:1/x.jpg", tmp_path)
    assert told == "no picture: origin_refused\n"
