"""The playbooks as they are shipped: their syntax, the linter's word, and what must not stand in them."""

import configparser
import functools
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg2.extensions
import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / ".cache/ansible/bin"  # ansible/setup.sh, called by make
PLAYBOOKS = sorted(path.name for path in (ROOT / "ansible").glob("*.yml"))


def ansible(program: str, *arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "NO_COLOR": "1"}
    command = [PROGRAMS / program, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_syntax(playbook: str) -> None:
    done = ansible("ansible-playbook", "--syntax-check", f"ansible/{playbook}")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_linter_has_nothing_to_say() -> None:
    done = ansible("ansible-lint", "-q", "ansible")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("folder", [ROOT, ROOT / "ansible"], ids=["checkout", "ansible"])
def test_the_inventory_is_found_from_both_folders(folder: Path) -> None:
    done = ansible("ansible-inventory", "--graph", folder=folder)
    assert {"--ic00", "--ic01", "--ic02", "--ic03"} <= set(re.findall(r"--ic\d\d", done.stdout))


def test_the_inventory_has_aliases_and_no_addresses() -> None:
    text = (ROOT / "ansible/inventory.ini").read_text()
    assert not re.search(r"\d+\.\d+\.\d+\.\d+|ansible_host|ansible_user|ansible_password", text)


def test_no_secret_and_no_vault_is_in_the_repository() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "ansible"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split()
    assert "ansible/group_vars/all/vault.yml" not in tracked
    sample = (ROOT / "ansible/group_vars/all/vault.yml.sample").read_text()
    values = re.findall(r"^vault_\w+: *(.*)$", sample, re.MULTILINE)
    assert values
    assert set(values) <= {'""', "[]", "{}"}


def test_every_variable_has_its_roles_prefix() -> None:
    for path in (ROOT / "ansible/group_vars/all").glob("*.yml"):
        names = re.findall(r"^(\w+):", path.read_text(), re.MULTILINE)
        foreign = [name for name in names if not name.startswith(f"{path.stem}_")]
        assert path.stem == "vault" or not foreign, path


# --- exporters --------------------------------------------------------------------------------------


def rendered(template: str, folder: Path, **variables: str) -> str:
    """Return what a role's template becomes on a host with the inventory's variables."""
    arguments = f"src={ROOT}/ansible/roles/{template} dest={folder}/rendered mode=0600"
    given = [part for name, value in variables.items() for part in ("-e", f"{name}={value}")]
    command = ("ic00", "-c", "local", "-m", "ansible.builtin.template", "-a", arguments)
    done = ansible(
        "ansible", *command, "-e", f"ansible_python_interpreter={PROGRAMS}/python", *given
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / "rendered").read_text()


def test_exporters_are_off_unless_asked_for(tmp_path: Path) -> None:
    access = "postgresql/templates/pg_hba.conf.j2"
    assert "prometheus" not in rendered(access, tmp_path)
    line = re.search(
        r"^local +all +prometheus +peer$",
        rendered(access, tmp_path, exporters_postgres="true"),
        re.M,
    )
    assert line


def test_exporters_listen_where_the_inventory_says(tmp_path: Path) -> None:
    node = rendered(
        "exporters/templates/node-exporter.j2", tmp_path, exporters_node_listen="10.0.0.1:9100"
    )
    assert 'ARGS="--web.listen-address=10.0.0.1:9100"' in node
    postgres = rendered("exporters/templates/postgres-exporter.j2", tmp_path)
    assert "port=5436" in postgres
    assert 'ARGS="--web.listen-address=:9187"' in postgres
    assert "password=" not in postgres


@pytest.mark.parametrize("exporter", ["node", "postgres"])
def test_each_exporter_is_documented_and_has_a_switch(exporter: str) -> None:
    defaults = (ROOT / "ansible/group_vars/all/exporters.yml").read_text()
    assert re.search(rf"^exporters_{exporter}: false$", defaults, re.MULTILINE)
    deploy = (ROOT / "docs/deploy.md").read_text()
    assert all(
        f"`{name}`" in deploy for name in re.findall(r"^(exporters_\w+):", defaults, re.MULTILINE)
    )
    tasks = (ROOT / "ansible/roles/exporters/tasks/main.yml").read_text()
    assert f"when: exporters_{exporter} | bool" in tasks


# --- storage ----------------------------------------------------------------------------------------

SETTINGS = "image_cloud/templates/image_cloud.ini.j2"
UNIT = "supervisor/templates/image-cloud.service.j2"
MOUNT = "shared_storage/templates/shared.mount.j2"
ACCESS = "postgresql/templates/pg_hba.conf.j2"
Write = Callable[..., dict[str, str]]


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Return a function that tells what SETTINGS to ACCESS become with these variables."""

    @functools.cache
    def write(**variables: str) -> dict[str, str]:
        folder = tmp_path_factory.mktemp("written")
        arguments = {"src": f"{ROOT}/ansible/roles/{{{{ item }}}}", "mode": "0600"}
        arguments["dest"] = f"{folder}/{{{{ item | basename }}}}"
        task = {"ansible.builtin.template": arguments, "loop": [SETTINGS, UNIT, MOUNT, ACCESS]}
        play = {"hosts": "ic00", "connection": "local", "gather_facts": False, "tasks": [task]}
        (folder / "play.yml").write_text(json.dumps([play]))
        own = {"ansible_python_interpreter": f"{PROGRAMS}/python", "supervisor_folder": "/opt/x"}
        given = json.dumps({**own, **variables})
        inventory = f"{ROOT}/ansible/inventory.ini"
        done = ansible("ansible-playbook", "-i", inventory, "-e", given, f"{folder}/play.yml")
        assert done.returncode == 0, done.stdout + done.stderr
        return {name: (folder / Path(name).name).read_text() for name in task["loop"]}

    return write


def options(ini: str) -> dict[str, dict[str, str]]:
    """Return the ini's sections."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(ini)
    return {name: dict(parser[name]) for name in parser.sections()}


@pytest.mark.parametrize(
    ("storage", "path"),
    [("local", "/var/lib/image-cloud/storage"), ("/mnt/disk/pictures", "/mnt/disk/pictures")],
)
def test_nodes_have_storage_and_database_of_their_own(
    write: Write, storage: str, path: str
) -> None:
    written = write(image_cloud_storage=storage)
    ini = options(written[SETTINGS])
    assert (ini["storage"]["path"], ini["storage"]["variants_path"]) == (path, "")
    assert ini["cluster"]["shared_storage"] == "false"
    assert "host=/var/run/postgresql " in ini["database"]["dsn"]
    assert ".mount" not in written[UNIT]
    assert f"ReadWritePaths=/var/lib/image-cloud {path}\n" in written[UNIT]
    assert "hostssl" not in written[ACCESS]
    assert "replication" not in written[ACCESS]


@pytest.mark.parametrize("storage", ["glusterfs", "mounted"])
def test_nodes_share_storage_and_database(write: Write, storage: str) -> None:
    written = write(image_cloud_storage=storage)
    ini = options(written[SETTINGS])
    assert ini["storage"]["path"] == "/srv/image_cloud/images"
    assert ini["storage"]["variants_path"] == "/var/lib/image-cloud/variants"
    assert ini["cluster"]["shared_storage"] == "true"
    dsn = psycopg2.extensions.parse_dsn(ini["database"]["dsn"])
    assert (dsn["host"], dsn["target_session_attrs"]) == ("ic00,ic01", "read-write")
    assert (dsn["sslmode"], dsn["channel_binding"]) == ("require", "require")
    assert re.search(r"^After=.* srv-image_cloud\.mount$", written[UNIT], re.M)
    assert "ExecStartPre=/usr/bin/mountpoint -q /srv/image_cloud\n" in written[UNIT]


def test_the_mount_knows_every_server(write: Write) -> None:
    unit = write(image_cloud_storage="glusterfs")[MOUNT]
    assert "What=ic00:/image_cloud\n" in unit
    assert "backup-volfile-servers=ic01:ic02," in unit


def test_a_given_file_system_is_mounted(write: Write) -> None:
    path = "/srv/shared-by_all"
    written = write(
        image_cloud_storage="mounted", shared_storage_source="nfs.example:/pictures",
        shared_storage_type="nfs4", shared_storage_options="hard,nodev", shared_storage_mount=path,
    )  # fmt: skip
    assert "What=nfs.example:/pictures\n" in written[MOUNT]
    assert "Type=nfs4\nOptions=hard,nodev,_netdev\n" in written[MOUNT]
    escape = ["systemd-escape", "--path", "--suffix=mount", path]
    name = subprocess.run(escape, capture_output=True, text=True, check=True).stdout.strip()
    assert f" {name}\n" in written[UNIT]


def test_only_nodes_reach_the_shared_database(write: Write) -> None:
    access = write(image_cloud_storage="glusterfs")[ACCESS]
    from_elsewhere = [line.split() for line in access.splitlines() if line.startswith("host")]
    assert all((line[0], line[-1]) == ("hostssl", "scram-sha-256") for line in from_elsewhere)
    nodes = {line[3] for line in from_elsewhere if line[1] == "image_cloud"}
    assert nodes == {"127.0.0.1/32", "ic00", "ic01", "ic02", "ic03"}
    servers = {line[3] for line in from_elsewhere if line[1] == "replication"}
    assert servers == {"127.0.0.1/32", "ic00", "ic01"}
