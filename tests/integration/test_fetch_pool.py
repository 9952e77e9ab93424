"""A fetch pool under its real gunicorn, alone: no nginx, no janitor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

from image_cloud.config.sample import render
from image_cloud.config.sections import Database as Settings
from image_cloud.db import catalog
from image_cloud.db.connect import Database
from image_cloud.process.sockets import socket_path
from tests.frontdoor.client import eventually, jpeg
from tests.node import new_node
from tests.origin import Origin
from tests.unix_http import UnixConnection, is_heard

APP = "falcon_app.app:create_app()"
END_S = 60.0


def test_a_pool_that_ends_in_order_leaves_nothing_for_the_janitor(
    tmp_path: Path, settings: Settings, origin: Origin
) -> None:
    node = new_node(tmp_path, "pools.fetch_workers=1", settings)
    ini, path = tmp_path / "image_cloud.ini", socket_path(str(node.run), "fetch")
    ini.write_text(render(node.config))
    url = origin.serve("/a.jpg", jpeg(64, 48))
    environment = {**os.environ, "IMAGE_CLOUD_CONFIG": str(ini), "IMAGE_CLOUD_POOL": "fetch"}
    command = [str(Path(sys.executable).with_name("gunicorn"))]
    command += ["--config", "python:falcon_app.gunicorn_conf", APP]
    with (tmp_path / "log").open("wb") as log:
        pool = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        eventually(lambda: is_heard(path), "it listens")
        connection = UnixConnection(path, END_S)
        connection.request("GET", "/_fetch?" + urlencode({"url": url}))
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        connection.close()
        pool.terminate()
        assert pool.wait(END_S) == 0, (tmp_path / "log").read_text()
    finally:
        pool.kill()
        pool.wait()
    with Database(settings).transaction() as cursor:
        assert [one.url for one in catalog.after(cursor, "", 10)] == [url]
    assert list(node.store.records.unrecorded()) == []
