"""What was damaged, lost or away comes back; what was deleted does not."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from image_cloud.picture.key import key_of
from tests.cluster.nodes import Node, Nodes, eventually
from tests.cluster.test_cloning import new_picture
from tests.frontdoor.client import jpeg
from tests.origin import Origin, answer


def everywhere(nodes: Nodes, origin: Origin) -> tuple[str, bytes]:
    url, content = new_picture(origin)
    nodes["ic01"].get(url)
    eventually(lambda: all(node.has(url) for node in nodes), "the picture is everywhere")
    eventually(lambda: all(node.is_counted(url) for node in nodes), "and in every catalogue")
    return url, content


def flip_a_byte(path: Path) -> None:
    with open(path, "r+b") as file:
        file.seek(-20, os.SEEK_END)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


DAMAGES: dict[str, Callable[[Path], None]] = {
    "flipped": flip_a_byte,
    "truncated": lambda path: os.truncate(path, 100),
    "empty": lambda path: os.truncate(path, 0),
    "missing": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_audit_heals_from_a_peer(nodes: Nodes, origin: Origin, damage: str) -> None:
    url, content = everywhere(nodes, origin)
    asked = sum(origin.counts().values())
    path = nodes["ic02"].original(url)
    DAMAGES[damage](path)
    eventually(lambda: path.read_bytes() == content, "healed")
    assert sum(origin.counts().values()) == asked
    aside = nodes["ic02"].home / "storage/quarantine" / path.name
    assert aside.exists() is (damage != "missing")
    assert nodes["ic02"].psql(f"select stored_from from images where url = '{url}'") != "origin\n"


def test_what_no_peer_has_is_healed_from_the_origin(nodes: Nodes, origin: Origin) -> None:
    url, content = everywhere(nodes, origin)
    paths = [node.original(url) for node in nodes]
    for node in nodes:
        node.supervisorctl("stop", "image-cloud-janitor")
    for path in paths:
        flip_a_byte(path)
    for node in nodes:
        node.supervisorctl("start", "image-cloud-janitor")
    eventually(lambda: all(path.read_bytes() == content for path in paths), "healed everywhere")
    assert sum(origin.counts().values()) > 1


def test_an_original_without_record_is_recorded_again(nodes: Nodes, origin: Origin) -> None:
    url, content = everywhere(nodes, origin)
    node, key = nodes["ic03"], key_of(url)
    (node.home / "storage/records" / key[:2] / key[2:4] / f"{key}.json").unlink()
    node.psql(f"delete from images where key = '{key}'")
    eventually(lambda: node.is_counted(url), "the feed of a peer told its URL")
    assert node.get(url).content == content


def test_verify_finds_and_repairs_both_ways(nodes: Nodes, origin: Origin) -> None:
    urls = [everywhere(nodes, origin)[0] for _ in range(3)]
    node = nodes["ic03"]
    with node.without("image-cloud-janitor"):
        flip_a_byte(node.original(urls[0]))
        node.original(urls[1]).unlink()
        stranger = node.home / "storage/originals/ab/ab" / ("ab" * 32 + ".jpg")
        stranger.parent.mkdir(parents=True, exist_ok=True)
        for folder in (stranger.parent, stranger.parent.parent):
            shutil.chown(folder, "image-cloud")
        subprocess.run(["cp", "-a", node.original(urls[2]), stranger], check=True)
        done = _verify(node)
        assert done.returncode == 1
        for line in (f"damaged\t{urls[0]}", f"missing\t{urls[1]}", f"unrecorded\t{'ab' * 32}"):
            assert line in done.stdout
        repaired = _verify(node, "--repair")
        assert repaired.returncode == 1  # a file of nobody cannot be healed
        for line in (f"damaged\t{urls[0]}\tfetched", f"missing\t{urls[1]}\tfetched"):
            assert line in repaired.stdout
        assert not stranger.exists()
        clean = _verify(node)
        assert (clean.returncode, "nothing wrong" in clean.stdout) == (0, True), clean


def _verify(node: Node, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [".venv/bin/image-cloud", "verify", *arguments]
    return subprocess.run(command, env=node.env(), capture_output=True, text=True, timeout=120)


def test_a_wiped_node_fills_itself(nodes: Nodes, origin: Origin) -> None:
    pictures = dict(everywhere(nodes, origin) for _ in range(5))
    gone, _ = everywhere(nodes, origin)
    nodes["ic02"].kill()
    nodes["ic02"].wipe()
    nodes["ic00"].delete(gone)
    nodes.start("ic02")
    eventually(lambda: all(nodes["ic02"].has(url) for url in pictures), "it filled itself")
    assert all(nodes["ic02"].get(url).content == content for url, content in pictures.items())
    nodes.settle()
    assert not any(node.has(gone) for node in nodes)
    assert nodes["ic02"].tables() == nodes["ic00"].tables()


def test_a_lost_database_is_rebuilt_from_the_files(nodes: Nodes, origin: Origin) -> None:
    url, _ = everywhere(nodes, origin)
    gone, _ = everywhere(nodes, origin)
    nodes["ic00"].delete(gone)
    eventually(lambda: not any(node.has(gone) for node in nodes), "deleted")
    node = nodes["ic01"]
    before = node.tables()
    nodes.stop("ic01")
    shutil.rmtree(node.home / "postgres")
    with _nobody_sends(nodes, "ic01"):
        nodes.start("ic01")
        eventually(lambda: node.tables() == before, "the catalogue is as it was")
        rows = node.psql(
            f"select count(*) from images where url = '{gone}' and deleted_at is not null"
        )
        assert rows == "1\n"
    nodes.settle()
    assert node.has(url)
    assert not any(node.has(gone) for node in nodes)
    late, _ = new_picture(origin)
    node.get(late)
    eventually(lambda: all(node.has(late) for node in nodes), "its new feed is followed")


def test_a_database_of_last_week(nodes: Nodes, origin: Origin, tmp_path: Path) -> None:
    old, _ = everywhere(nodes, origin)
    gone, _ = everywhere(nodes, origin)
    node = nodes["ic02"]
    with node.without_database() as data:
        subprocess.run(["cp", "-a", data, tmp_path / "backup"], check=True)
    nodes.settle()
    new, _ = everywhere(nodes, origin)
    own, _ = new_picture(origin)
    node.get(own)
    eventually(lambda: all(node.has(own) for node in nodes), "stored here, cloned by all")
    nodes["ic00"].delete(gone)
    eventually(lambda: not any(node.has(gone) for node in nodes), "deleted")
    nodes.settle()
    before = nodes["ic00"].tables()
    with node.without_database() as data:
        shutil.rmtree(data)
        subprocess.run(["cp", "-a", tmp_path / "backup", data], check=True)
    eventually(lambda: node.tables() == before, "the catalogue caught up")
    nodes.settle()
    assert all(node.has(url) for url in (old, new, own))
    assert not any(node.has(gone) for node in nodes)
    late, _ = new_picture(origin)
    node.get(late)
    eventually(lambda: all(node.has(late) for node in nodes), "its new feed is followed")


def test_an_open_transaction_elsewhere_holds_the_feed_visibly(nodes: Nodes, origin: Origin) -> None:
    node = nodes["ic01"]
    place = f"host={node.home}/run/postgres port=5436 user=postgres"
    holder = psycopg2.connect(f"{place} dbname=postgres")
    try:
        holder.cursor().execute("create table held (); select pg_current_xact_id()")
        url, _ = new_picture(origin)
        node.get(url)
        eventually(lambda: node.is_counted(url), "it is recorded")
        told = eventually(lambda: _held(node), "the status tells")
        assert "in database postgres" in told
        assert "held back" in node.cli("backlog")
        assert not nodes["ic00"].has(url)
    finally:
        holder.close()
    eventually(lambda: all(node.has(url) for node in nodes), "it goes on by itself")
    assert not _held(node)


def _held(node: Node) -> str:
    lines = [line for line in node.cli("status").splitlines() if line.startswith("feed:")]
    return lines[0] if lines else ""


def test_an_import_respects_deletes_and_goes_on_where_it_stopped(
    nodes: Nodes, origin: Origin, tmp_path: Path
) -> None:
    node, host = nodes["ic00"], "http://old.example"
    rows = []
    for number in range(4):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(jpeg(40, 30, seed=500 + number))
        os.utime(path, (1_600_000_000, 1_600_000_000))
        rows.append(f"{host}/{number}.jpg\t{path}")
    (tmp_path / "broken.jpg").write_text("<html>")
    node.delete(f"{host}/0.jpg")
    (tmp_path / "list").write_text("\n".join(rows[:2]) + "\n")
    assert node.cli("import", str(tmp_path / "list")) == "1 deleted before, 1 imported\n"
    rows += [f"{host}/x.jpg\t{tmp_path}/broken.jpg", f"{host}/y.jpg\t{tmp_path}/none.jpg"]
    (tmp_path / "list").write_text("\n".join(rows) + "\n")
    done = subprocess.run(
        [".venv/bin/image-cloud", "import", str(tmp_path / "list")],
        env=node.env(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout.endswith("1 deleted before, 1 already here, 2 imported, 2 not taken\n")
    eventually(lambda: all(node.has(f"{host}/3.jpg") for node in nodes), "imports are cloned")
    assert not any(node.has(f"{host}/0.jpg") for node in nodes)
    assert node.psql(f"select stored_at from images where url = '{host}/3.jpg'").startswith(
        "2020-09-13"
    )


def test_an_import_from_sqlite(nodes: Nodes, origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(40, 30, seed=600))
    database = sqlite3.connect(tmp_path / "old.db")
    database.execute("create table pictures (address text, file text)")
    database.execute("insert into pictures values ('http://sqlite.example/a.jpg', 'a.jpg')")
    database.commit()
    database.close()
    said = nodes["ic01"].cli(
        "import", "--sqlite", str(tmp_path / "old.db"), "--root", str(tmp_path),
        "--query", "select address, file from pictures",
    )  # fmt: skip
    assert said == "1 imported\n"
    eventually(lambda: all(node.has("http://sqlite.example/a.jpg") for node in nodes), "cloned")


@contextlib.contextmanager
def _nobody_sends(nodes: Nodes, name: str) -> Iterator[None]:
    """Cut one node off for the block: what it has after that, it has from its own files."""
    nodes.links.cut([name], [other for other in nodes.all if other != name])
    try:
        yield
    finally:
        nodes.links.heal()


def test_a_node_away_past_the_tombstones_brings_nothing_back(nodes: Nodes, origin: Origin) -> None:
    stays, content = everywhere(nodes, origin)
    gone, _ = everywhere(nodes, origin)
    nodes.settle()
    own, own_content = new_picture(origin)
    node = nodes["ic03"]
    nodes.links.cut(["ic03"], ["ic00", "ic01", "ic02"])
    node.get(own)  # nobody else can have heard of it
    eventually(lambda: node.is_counted(own), "recorded")
    nodes.stop("ic03")
    nodes.links.heal()
    nodes["ic00"].delete(gone)
    eventually(lambda: not any(n.has(gone) for n in nodes if n is not node), "deleted")
    for other in nodes:
        if other is not node:  # three months later
            other.psql("delete from images where deleted_at is not null")
            shutil.rmtree(other.home / "storage/tombstones")
            (other.home / "storage/tombstones").mkdir(mode=0o750)
            shutil.chown(other.home / "storage/tombstones", "image-cloud", "image-cloud")
    origin.behave("/" + gone.rpartition("/")[2], answer(404))
    contact = node.home / "storage/cluster/contact.json"
    last = json.loads(contact.read_text())
    contact.write_text(json.dumps({**last, "at": last["at"] - 91 * 86400}))
    nodes.start("ic03")
    assert not node.has(gone)  # from the first answer on
    eventually(lambda: node.has(stays) and node.has(own), "the rest is back")
    assert (node.get(stays).content, node.get(own).content) == (content, own_content)
    eventually(lambda: all(n.has(own) for n in nodes), "and everywhere")
    eventually(lambda: not (node.home / "storage/aside").exists(), "nothing stands aside")
    assert not any(n.has(gone) for n in nodes)
