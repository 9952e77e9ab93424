"""A fetch pool under its real gunicorn, alone: no nginx, no janitor."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlencode

from image_cloud.config.sample import render
from image_cloud.config.sections import Database as Settings
from image_cloud.db import catalog
from image_cloud.db.connect import Database
from image_cloud.node import Node
from image_cloud.process.sockets import socket_path
from tests.frontdoor.client import eventually, jpeg
from tests.node import new_node
from tests.origin import Origin
from tests.storage import new_store
from tests.unix_http import UnixConnection, is_heard

APP = "falcon_app.app:create_app()"
END_S = 60.0


@contextlib.contextmanager
def running(node: Node, folder: Path) -> Iterator[str]:
    """Run the fetch pool of a node, whose home is `folder`; yield its socket, and end it in order."""
    ini, path = folder / "image_cloud.ini", socket_path(str(node.run), "fetch")
    ini.write_text(render(node.config))
    environment = {**os.environ, "IMAGE_CLOUD_CONFIG": str(ini), "IMAGE_CLOUD_POOL": "fetch"}
    command = [str(Path(sys.executable).with_name("gunicorn"))]
    command += ["--config", "python:falcon_app.gunicorn_conf", APP]
    with (folder / "log").open("wb") as log:
        pool = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        eventually(lambda: is_heard(path), "it listens")
        yield path
        pool.terminate()
        assert pool.wait(END_S) == 0, (folder / "log").read_text()
    finally:
        pool.kill()
        pool.wait()


def ask(socket: str, address: str, **headers: str) -> tuple[HTTPResponse, bytes]:
    """Return what the pool answers at an address."""
    with contextlib.closing(UnixConnection(socket, END_S)) as connection:
        connection.request("GET", address, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read()


def fetch(socket: str, url: str) -> str:
    """Return where nginx is to ask for a new picture."""
    answer, content = ask(socket, "/_fetch?" + urlencode({"url": url}))
    assert answer.status == 200, content
    redirect = answer.headers["X-Accel-Redirect"]
    return "/_original/" + redirect.removeprefix("/_files/originals/")


def test_a_pool_that_ends_in_order_leaves_nothing_for_the_janitor(
    tmp_path: Path, settings: Settings, origin: Origin
) -> None:
    node = new_node(tmp_path, "pools.fetch_workers=1", settings)
    url = origin.serve("/a.jpg", jpeg(64, 48))
    with running(node, tmp_path) as socket:
        fetch(socket, url)
    with Database(settings).transaction() as cursor:
        assert [one.url for one in catalog.after(cursor, "", 10)] == [url]
    assert list(node.store.records.unrecorded()) == []


def test_a_new_picture_is_sent_though_its_storage_is_lost_before_the_answer(
    tmp_path: Path, settings: Settings, origin: Origin
) -> None:
    """On a shared storage: from the node's own disk, once, as it is sent from the storage later."""
    near, away = tmp_path / "near", tmp_path / "away"
    new_store(near)
    far = f"pools.fetch_workers=1;cluster.shared_storage=true;storage.variants_path={near}"
    node, content, numbers = new_node(tmp_path, far, settings), jpeg(64, 48), itertools.count()

    def served() -> str:
        return origin.serve(f"/{next(numbers)}.jpg", content)

    def is_sent() -> bool:
        """Say whether it is: on a busy machine the answer may be too late for what is on the own disk."""
        address = fetch(socket, served())
        node.storage.rename(away)
        try:
            lost, sent = ask(socket, address)
            assert ask(socket, address)[0].status == 503
        finally:
            away.rename(node.storage)
        eventually(lambda: ask(socket, address)[0].status == 200, "the storage is back")
        if lost.status != 200:
            return False
        stored, _ = ask(socket, address)
        for name in ("ETag", "Last-Modified", "Content-Type", "Content-Length"):
            assert stored.headers[name] == lost.headers[name]
        tag = {"If-None-Match": lost.headers["ETag"]}
        assert ask(socket, fetch(socket, served()), **tag)[0].status == 304
        return sent == content

    with running(node, tmp_path) as socket:
        eventually(is_sent, "it is sent")
    assert not list((near / "incoming").glob(".copy-*"))
