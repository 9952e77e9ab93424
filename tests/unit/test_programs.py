"""Every program of supervisor.d is set up alike."""

import configparser
from pathlib import Path

import pytest

from image_cloud.process.sockets import SERVERS

FOLDER = Path(__file__).parents[2] / "supervisor.d"
FILES = sorted(FOLDER.rglob("*.conf"))
# In the order in which every file has them; what only some have stands between.
ORDER = (
    "command", "directory", "umask", "priority", "autostart", "autorestart", "startsecs",
    "startretries", "stopsignal", "stopwaitsecs", "stopasgroup", "killasgroup",
)  # fmt: skip


def options(file: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser(inline_comment_prefixes=None)
    parser.read(file)
    (section,) = parser.sections()
    assert section.partition(":")[2] == file.stem
    return dict(parser.items(section))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_program_is_alike(file: Path) -> None:
    given = options(file)
    assert tuple(name for name in given if name in ORDER) == ORDER
    command = given["command"].removeprefix('/bin/sh -c "exec ')  # opens a file before
    ends_with_supervisord = f"--pdeathsig={given['stopsignal']}"
    assert command.startswith(f"/usr/bin/setpriv {ends_with_supervisord} --no-new-privs -- ")
    assert "user" in given or "IMAGE_CLOUD_SANDBOX" in given["command"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_program_has_a_log_of_its_own_that_is_rotated(file: Path) -> None:
    given = options(file)
    name = "stdout" if given.get("redirect_stderr") == "true" else "stderr"
    assert given[f"{name}_logfile"] == "%(ENV_IMAGE_CLOUD_LOG)s/%(program_name)s.log"
    assert given[f"{name}_logfile_maxbytes"] == "10MB"
    assert int(given[f"{name}_logfile_backups"]) >= 1


def test_a_pool_has_longer_to_end_than_its_requests() -> None:
    for pool in SERVERS:
        given = options(FOLDER / f"image-cloud-{pool}.conf")
        assert int(given["stopwaitsecs"]) > 25  # gunicorn's graceful_timeout
        assert (given["socket_mode"], given["socket_backlog"]) == ("0700", "2048")
