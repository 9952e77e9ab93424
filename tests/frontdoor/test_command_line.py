"""The command line over HTTP: from any machine, with exit statuses that a script can rely on."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.frontdoor.client import eventually, get, jpeg
from tests.origin import Origin
from tests.stack.running import CHECKOUT, Stack

GOOD, WRONG, USAGE, AWAY, REFUSED = 0, 1, 2, 3, 4


@pytest.fixture
def elsewhere(stack: Stack, tmp_path: Path) -> list[str]:
    """Return the options with which a machine that has no node asks this one."""
    token = tmp_path / "token"
    token.write_text(stack.token + "\n")
    return ["--url", stack.url + "/", "--token-file", str(token)]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as somebody whose home has no node."""
    return subprocess.run(
        [str(CHECKOUT / ".venv/bin/image-cloud"), *arguments],
        env={"IMAGE_CLOUD_HOME": str(folder / "nothing"), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_from_another_machine(
    stack: Stack, origin: Origin, elsewhere: list[str], tmp_path: Path
) -> None:
    url, file = origin.serve("/elsewhere.jpg", jpeg(300, 200)), tmp_path / "picture.jpg"
    asked = run(tmp_path, *elsewhere, "get", url, "resize_width=40", "-o", str(file))
    assert (asked.returncode, asked.stderr) == (GOOD, "")
    assert file.read_bytes() == get(stack, "/get_image", url=url, resize_width=40).content
    status = run(tmp_path, *elsewhere, "status", "--json")
    assert json.loads(status.stdout)["node"] == "ic00"
    assert "up for" in run(tmp_path, *elsewhere, "status").stdout
    assert json.loads(run(tmp_path, *elsewhere, "backlog", "--json").stdout)["ic00"]["backlog"] == 0
    listed = tmp_path / "urls"
    listed.write_text(url + "\n")
    assert run(tmp_path, *elsewhere, "prefetch", str(listed), "--wait").returncode == GOOD
    assert json.loads(run(tmp_path, *elsewhere, "delete", url, "--json").stdout)["deleted"]
    assert run(tmp_path, *elsewhere, "explain", url).returncode == WRONG


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["get", "http://127.0.0.1:1/x.jpg", "-o", "/dev/null"], REFUSED, "origin_refused"),
        (["get", "ftp://shop.example/", "-o", "/dev/null"], REFUSED, "url_forbidden"),
        (["get", "http://shop.example/", "width=3", "-o", "/dev/null"], USAGE, "resize_width"),
        (["get", "http://shop.example/", "-o", "/nowhere/x"], REFUSED, "origin_dns"),
        (["explain"], USAGE, "required"),
        (["prefetch"], USAGE, "FILE"),
        (["completion", "fish?"], USAGE, "choose"),
    ],
)
def test_exit_statuses(
    arguments: list[str], status: int, said: str, elsewhere: list[str], tmp_path: Path
) -> None:
    asked = run(tmp_path, *elsewhere, *arguments)
    assert asked.returncode == status, asked.stderr
    assert said in asked.stderr
    assert "Traceback" not in asked.stderr


def test_a_node_that_does_not_answer_and_a_wrong_token(
    stack: Stack, elsewhere: list[str], tmp_path: Path
) -> None:
    away = run(tmp_path, "--url", "http://127.0.0.1:1", *elsewhere[2:], "status")
    assert (away.returncode, "does not answer" in away.stderr) == (AWAY, True)
    Path(elsewhere[3]).write_text("wrong")
    refused = run(tmp_path, *elsewhere, "status")
    assert (refused.returncode, "token_unknown" in refused.stderr) == (REFUSED, True)
    assert run(tmp_path, *elsewhere[:2], "status").returncode == USAGE
    assert run(tmp_path, "status").returncode == USAGE
    for content in (b"", b"\xff\0"):
        Path(elsewhere[3]).write_bytes(content)
        unread = run(tmp_path, *elsewhere, "status")
        assert (unread.returncode, f"no token: {elsewhere[3]}" in unread.stderr) == (USAGE, True)
    Path(elsewhere[3]).write_text(stack.token)
    odd = run(tmp_path, "--url", "ic00:5000", *elsewhere[2:], "status")
    assert (odd.returncode, "like http://ic00:5000" in odd.stderr) == (USAGE, True)


def test_options_behind_the_command_and_in_the_environment(
    stack: Stack, elsewhere: list[str], tmp_path: Path
) -> None:
    assert run(tmp_path, "status", *elsewhere).returncode == GOOD
    asked = subprocess.run(
        [str(CHECKOUT / ".venv/bin/image-cloud"), "status"],
        env={"IMAGE_CLOUD_URL": stack.url, "IMAGE_CLOUD_TOKEN": stack.token, "PATH": "/usr/bin"},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (asked.returncode, asked.stderr) == (GOOD, "")


def test_get_tells_of_the_picture(
    stack: Stack, origin: Origin, elsewhere: list[str], tmp_path: Path
) -> None:
    url, file = origin.serve("/told.jpg", jpeg(300, 200)), str(tmp_path / "told.jpg")
    told = json.loads(run(tmp_path, *elsewhere, "get", url, "-o", file, "--json").stdout)
    assert (told["content_type"], told["cache"]) == ("image/jpeg", "MISS")
    for wrong in (["--json"], ["quality", "-o", file], ["quality=1", "quality=2", "-o", file]):
        asked = run(tmp_path, *elsewhere, "get", url, *wrong)
        assert (asked.returncode, asked.stdout) == (USAGE, "")


def test_prefetch_draws_no_bar_without_a_terminal(
    stack: Stack, origin: Origin, elsewhere: list[str], tmp_path: Path
) -> None:
    listed, good = tmp_path / "urls", origin.serve("/bar.jpg", jpeg(300, 200))
    listed.write_text(good + "\n")
    asked = run(tmp_path, *elsewhere, "prefetch", str(listed), "--wait")
    assert (asked.returncode, asked.stderr) == (GOOD, "")
    listed.write_text(f"{good}\nftp://shop.example/\n")
    asked = run(tmp_path, *elsewhere, "prefetch", str(listed), "--wait", "--json")
    assert (asked.returncode, asked.stderr) == (WRONG, "")
    told = json.loads(asked.stdout)
    assert told["batches"][0]["rejected"][0]["code"] == "url_forbidden"
    assert (told["failed"], told["failures"]) == (0, [])
    listed.write_text("http://shop.example/\033[31mred\n")
    asked = run(tmp_path, *elsewhere, "prefetch", str(listed))
    assert asked.stderr.startswith("rejected: http://shop.example/?[31mred: bad_parameter: ")


def test_a_reader_that_goes_away_is_no_error(elsewhere: list[str]) -> None:
    command = [str(CHECKOUT / ".venv/bin/image-cloud"), *elsewhere, "status", "--json"]
    reading, writing = os.pipe()
    os.close(reading)
    asked = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=60)
    os.close(writing)
    assert (asked.returncode, asked.stderr) == (128 + signal.SIGPIPE, b"")


def test_the_node_s_own_commands_print_json(stack: Stack, tmp_path: Path) -> None:
    added = json.loads(stack.cli("token", "add", "machine", "read", "--json"))
    address = "/get_image?url=http://shop.example/"
    signed = json.loads(stack.cli("sign", "--client", "machine", address, "--json"))
    assert (added["scopes"], "signature=" in signed["url"]) == (["read"], True)
    assert json.loads(stack.cli("token", "revoke", "machine", "--json"))["revoked"]
    assert json.loads(stack.cli("config", "check", "--json"))["problems"] == []
    assert json.loads(stack.cli("config", "sample", "--json"))["node"]["name"] == "ic00"
    assert json.loads(stack.cli("migrate", "--json")) == {"applied": []}
    (tmp_path / "list").write_text("")
    told = json.loads(stack.cli("import", str(tmp_path / "list"), "--json"))
    assert told == {"counts": {}, "not_taken": []}


def test_the_status_tells_of_trouble(stack: Stack, elsewhere: list[str], tmp_path: Path) -> None:
    stack.supervisorctl("stop", "postgres")
    try:
        asked = eventually(
            lambda: (it := run(tmp_path, *elsewhere, "status")).returncode == WRONG and it, "it is"
        )
        assert "unknown without the database" in asked.stdout
        batches = run(tmp_path, *elsewhere, "batches")
        assert (batches.returncode, "database_unavailable" in batches.stderr) == (AWAY, True)
    finally:
        stack.supervisorctl("start", "postgres")
        eventually(lambda: run(tmp_path, *elsewhere, "status").returncode == GOOD, "well again")


def test_completion_and_tokens(stack: Stack) -> None:
    assert "_image_cloud" in stack.cli("completion", "bash").replace("-", "_")
    assert stack.cli("token", "list").splitlines()[0].split() == ["client", "created", "scopes"]
    assert "client" in json.loads(stack.cli("token", "list", "--json"))[0]


def test_top(stack: Stack, elsewhere: list[str], tmp_path: Path) -> None:
    def seen() -> dict[str, Any]:
        asked = run(tmp_path, *elsewhere, "top", "--json")
        assert (asked.returncode, asked.stderr) == (GOOD, "")
        (node,) = json.loads(asked.stdout)["nodes"]
        return dict(node)

    eventually(lambda: seen()["memory_bytes"], "the sampler has looked")
    once = run(tmp_path, *elsewhere, "top")  # no terminal
    assert (once.returncode, once.stderr) == (GOOD, "")
    assert "1 of 1 nodes are ok" in once.stdout
    assert "\x1b" not in once.stdout
    assert run(tmp_path, *elsewhere, "top", "--interval", "0").returncode == USAGE
    away = run(tmp_path, "--url", "http://127.0.0.1:1", *elsewhere[2:], "top", "--once")
    assert (away.returncode, "does not answer" in away.stderr) == (AWAY, True)
    Path(elsewhere[3]).write_text("wrong")
    assert run(tmp_path, *elsewhere, "top").returncode == REFUSED


def test_top_draws_on_a_terminal_until_it_is_interrupted(elsewhere: list[str]) -> None:
    ours, theirs = pty.openpty()
    # A shell has what it starts in the background ignore SIGINT, these tests and their children, too.
    heeding = ["/usr/bin/env", "--default-signal=INT"]
    command = [str(CHECKOUT / ".venv/bin/image-cloud"), *elsewhere, "top", "--interval", "1"]
    top = subprocess.Popen(
        [*heeding, *command],
        env={"TERM": "xterm", "PATH": "/usr/bin:/bin", "COLUMNS": "60", "LINES": "20"},
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    drawn = b""
    while drawn.count(b"nodes are ok") < 2:
        assert select.select([ours], [], [], 60)[0], drawn
        drawn += os.read(ours, 4096)
    top.send_signal(signal.SIGINT)
    assert top.wait(60) == GOOD
    drawn += os.read(ours, 4096)
    os.close(ours)
    assert drawn.startswith(b"\x1b[?1049h\x1b[?25l")
    assert drawn.endswith(b"\x1b[?25h\x1b[?1049l"), "the terminal is as before"
