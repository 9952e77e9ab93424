"""What all commands have in common, and what docs/command_line.md says of them."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from image_cloud.cli import main, parser
from image_cloud.cli.access import Refused
from image_cloud.cli.node_client import NodeClient
from tests.origin import Origin, redirect

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/command_line.md").read_text()
WITHOUT_JSON = {"completion"}


def commands(of: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, set[str]]]:
    """Yield each command that does something, with its options."""
    below = [it for it in of._actions if isinstance(it, argparse._SubParsersAction)]
    if of.get_default("run"):
        yield name, {option for it in of._actions for option in it.option_strings}
    for action in below:
        for word, one in action.choices.items():
            yield from commands(one, f"{name} {word}".strip())


COMMANDS = dict(commands(parser()))


def over_http() -> set[str]:
    rows = re.findall(r"^\| (`.*?`) \| (yes |no |)\|", PAGE.replace("\\|", "/"), re.MULTILINE)
    assert {how for _, how in rows} == {"yes ", "no ", ""}
    return {
        word for names, how in rows for word in re.findall(r"`([a-z-]+)", names) if how == "yes "
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_prints_json(name: str) -> None:
    assert ("--json" in COMMANDS[name]) == (name not in WITHOUT_JSON)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_documented(name: str) -> None:
    first = name.split()[0]
    assert f"`{first}" in PAGE
    assert ("--token-file" in COMMANDS[name]) == (first in over_http())


@pytest.mark.parametrize(
    "arguments",
    [
        ["token", "list"], ["verify"], ["migrate"], ["sign", "--client", "a", "/get_image?url=b"],
        ["config", "check"], ["health"], ["rollout"], ["import", "x"], ["allow-deletes", "ic01"],
    ],
)  # fmt: skip
def test_what_works_on_files_refuses_another_node(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--url", "http://ic01:5000", *arguments]) == 2
    assert "run it there" in capsys.readouterr().err


def test_no_redirect_takes_the_token_elsewhere() -> None:
    with Origin() as node, Origin() as other:
        node.behave("/node_status", redirect(other.serve("/status", b"{}")))
        client = NodeClient(node.url("").rstrip("/"), "t" * 30)
        with pytest.raises(Refused):
            client.get("/node_status")
        assert not other.requests


AS_RUN_USER = """
import ctypes, sys
from types import SimpleNamespace as Part
from image_cloud.cli import access
access.{name}(Part(storage=Part(local=sys.argv[1])))
getenv = ctypes.CDLL(None).getenv
getenv.restype = ctypes.c_char_p
print(getenv(b"HOME"))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root acts as another user")
@pytest.mark.parametrize("name", ["become_run_user", "act_as_run_user"])
def test_libpq_looks_for_certificates_in_the_run_users_home(tmp_path: Path, name: str) -> None:
    shutil.chown(tmp_path, "nobody")
    done = subprocess.run(
        [sys.executable, "-c", AS_RUN_USER.format(name=name), tmp_path],
        env={**os.environ, "HOME": "/root"}, cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "None\n", done.stderr
