"""The playbooks as they are shipped: their syntax, the linter's word, and what must not stand in them."""

import os
import re
import subprocess
from pathlib import Path

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
