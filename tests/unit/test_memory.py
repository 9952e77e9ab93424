"""What keeps a node small: what a pool's master makes before it forks, and what is imported where."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from falcon_app.app import FOR_PAGES, Beside
from image_cloud.config.sample import render
from image_cloud.process.sockets import POOLS
from tests.node import new_node

ROOT = Path(__file__).parents[2]
MADE = """
import json, os, sys, threading
from falcon_app import app
def opened(): return sorted(os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")[:-1])
app.configuration()
app.module_of(os.environ["IMAGE_CLOUD_POOL"])
before = opened()
app.create_app()
print(json.dumps({"opened": [one for one in opened() if one not in before],
                  "threads": threading.active_count(), "modules": sorted(sys.modules)}))
"""


@pytest.fixture(params=POOLS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """What the master of a pool is like once it has made the pool's application."""
    ini = tmp_path / "image_cloud.ini"
    node = new_node(tmp_path, "cluster.peers=ic01=http://127.0.0.1:1")
    ini.write_text(render(node.config))
    environment = {
        **os.environ,
        "IMAGE_CLOUD_CONFIG": str(ini),
        "IMAGE_CLOUD_POOL": request.param,
        "PYTHONPATH": str(ROOT),  # `make unit` installs no package
    }
    done = subprocess.run(
        [sys.executable, "-c", MADE], env=environment, check=True, stdout=subprocess.PIPE
    )
    return {"pool": request.param, **json.loads(done.stdout)}


def test_workers_share_no_descriptor_and_no_thread(made: Any) -> None:
    """A lock's descriptor that two processes share is one holder's: both would have the lock."""
    assert (made["opened"], made["threads"]) == ([], 1)


NOT_AT_REST = {"PIL", "idna", "jinja2"}
"""What decodes, reads names in other scripts than ASCII, and makes pages: each where it is first needed."""


def test_a_pool_has_loaded_only_what_each_request_needs(made: Any) -> None:
    of_asgi = {"asyncio", "http.cookiejar", "urllib.request"}
    assert not (NOT_AT_REST | of_asgi) & set(made["modules"])


def test_the_pages_are_made_once_when_the_first_is_opened() -> None:
    made: list[str] = []

    def new(name: str) -> Any:
        made.append(name)
        return lambda _environ, _start_response: [name.encode()]

    both = Beside(lambda: new("pages"), new("others"))
    assert both({}, None) == [b"others"]
    assert made == ["others"]
    for _ in range(2):
        assert both({FOR_PAGES: "1"}, None) == [b"pages"]
    assert made == ["others", "pages"]


LISTENERS = ("image_cloud.supervision.watchdog", "image_cloud.supervision.log_rotation")


DAEMONS = (
    "daemons.janitor.janitor",
    "daemons.peer_clone.peer_clone",
    "daemons.prefetch.wiring",
    "daemons.sampler.sampler",
)


def modules_of(name: str) -> set[str]:
    """Return what a process has in memory that has imported `name`."""
    is_there = "type(module).__name__ != '_StandIn'"
    modules = f"(name for name, module in sys.modules.items() if {is_there})"
    code = f"import sys, {name}; print(*{modules})"
    done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE)
    return set(done.stdout.decode().split())


@pytest.mark.parametrize("listener", LISTENERS)
def test_listeners_bring_no_http_client(listener: str) -> None:
    assert not {
        "hashlib",
        "http.client",
        "ssl",
        "xmlrpc",
        "email",
        "inspect",
        *NOT_AT_REST,
    } & modules_of(listener)


@pytest.mark.parametrize("daemon", DAEMONS)
def test_daemons_bring_no_imaging_library_and_no_client_for_peers(daemon: str) -> None:
    """A node without peers imports none, and a daemon none of the parts of a node that it does not make."""
    of_others = {
        "urllib3",
        "falcon",
        "argparse",
        "certifi",
        "http.client",
        "email",
        "ssl",
        "inspect",
    }
    assert not (NOT_AT_REST | of_others) & modules_of(daemon)


def test_the_sampler_is_small() -> None:
    """It does one small job: each of these would cost it megabytes."""
    large = {
        "psycopg2",
        "requests",
        "hashlib",
        "http.client",
        "ssl",
        "email",
        "multiprocessing",
        "xmlrpc",
        "random",
    }
    assert not large & modules_of("daemons.sampler.sampler")


COLLECTED_IN_A_FORK = """
import gc, os, re
from image_cloud.process import memory
kept = [[] for _ in range(200_000)]
memory.share_with_forks()
if not os.fork():
    gc.collect()
    text = open("/proc/self/smaps_rollup").read()
    print(re.search(r"Private_Dirty: +([0-9]+) kB", text)[1], flush=True)
    os._exit(0)
os.wait()
"""


def test_a_collection_in_a_fork_copies_no_memory() -> None:
    command = [sys.executable, "-c", COLLECTED_IN_A_FORK]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    assert int(done.stdout) < 5000  # of 15,000
