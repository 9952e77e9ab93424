"""What a deploy writes on a host, written here into a folder: nginx and supervisord must take it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from image_cloud.host.release import Host, plan, settle, write
from image_cloud.node_files.access import let_through
from image_cloud.node_files.accounts import Accounts, find_accounts
from image_cloud.node_files.errors import CannotStart
from image_cloud.node_files.home import Home

ROOT = Path(__file__).parents[2]
READ_PROGRAMS = """
import json, sys
from supervisor.options import ServerOptions
options = ServerOptions()
options.realize(["-c", sys.argv[1]])
commands = {p.name: p.command for g in options.process_group_configs for p in g.process_configs}
print(json.dumps(commands))
"""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    accounts: Accounts = find_accounts()
    home = Home(tmp_path / "home")
    home.root.mkdir(mode=0o750)
    release = tmp_path / "releases/0.1.0-12345678"
    release.mkdir(parents=True)
    for folder in ("nginx", "supervisor.d"):
        subprocess.run(["cp", "-r", ROOT / folder, release], check=True)
    home.ini.write_text(
        "[node]\nlisten = 127.0.0.1:5999\n[download]\nsample_origin = 127.0.0.1:5998\n"
    )
    let_through(accounts.run, home.root)
    return Host(home, release, Path("/opt/image_cloud/current/bin"), accounts)


def test_a_first_write_makes_all_and_a_second_changes_nothing(host: Host) -> None:
    first = write(host)
    assert str(host.home.supervisord_conf) in first["changed"]
    assert all(first[what] for what in ("restart", "rollout", "reload"))
    again = write(host)
    assert (again["changed"], again["diff"]) == ([], [])
    assert again["restart"], "nobody said yet that it was done"
    settle(host)
    assert not any(plan(host)[what] for what in ("restart", "rollout", "reload"))


def test_a_plan_writes_nothing(host: Host) -> None:
    assert plan(host)["changed"]
    assert not host.home.run.exists()


def test_a_new_release_is_rolled_out_without_a_new_supervisord(host: Host) -> None:
    write(host)
    settle(host)
    newer = host.release.with_name("0.1.1-87654321")
    host.release.rename(newer)
    answer = plan(Host(host.home, newer, host.bin, host.accounts))
    assert (answer["rollout"], answer["restart"], answer["reload"]) == (True, False, False)


def test_going_back_from_a_release_that_was_never_settled_is_due(host: Host) -> None:
    write(host)
    settle(host)
    newer = host.release.with_name("0.1.1-87654321")
    shutil.copytree(host.release, newer)
    write(Host(host.home, newer, host.bin, host.accounts))
    answer = write(host)
    assert (answer["rollout"], answer["restart"]) == (True, False)


def test_files_that_nginx_refuses_are_not_left_in_place(host: Host) -> None:
    write(host)
    site = host.release / "nginx/sites/image_cloud.conf"
    site.write_text(site.read_text() + "nonsense on;\n")
    with pytest.raises(CannotStart) as refused:
        write(host)
    assert "nonsense" in refused.value.evidence
    assert "nonsense" not in (host.home.nginx / "sites/image_cloud.conf").read_text()


def test_what_a_release_no_longer_has_goes(host: Host) -> None:
    write(host)
    (host.release / "supervisor.d/image-cloud-prefetch.conf").unlink()
    assert str(host.home.programs / "image-cloud-prefetch.conf") in write(host)["changed"]
    assert not (host.home.programs / "image-cloud-prefetch.conf").exists()


def test_supervisord_reads_its_files(host: Host) -> None:
    write(host)
    done = subprocess.run(
        [sys.executable, "-c", READ_PROGRAMS, host.home.supervisord_conf],
        capture_output=True, text=True, cwd="/", env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    commands = json.loads(done.stdout.splitlines()[-1])
    shipped = {path.stem for path in (ROOT / "supervisor.d").glob("*.conf")}
    assert shipped <= set(commands)
    assert not {"nginx", "postgres"} & set(commands), "systemd runs those"
    assert "/opt/image_cloud/current/bin" in commands["image-cloud-front"]


def test_the_difference_does_not_quote_the_settings(host: Host) -> None:
    host.home.ini.write_text(host.home.ini.read_text() + "[database]\ndsn = password=hunter2\n")
    assert "hunter2" not in json.dumps(plan(host))
