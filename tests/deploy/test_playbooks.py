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
