"""Real processes of the daemons: SIGTERM finishes each thread's step, and a thread that hangs is seen."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from image_cloud.config.sample import render
from image_cloud.config.sections import Database as Settings
from image_cloud.db import catalog, clones
from image_cloud.db.connect import Database
from image_cloud.db.prefetch import intake
from image_cloud.db.prefetch.intake import NewBatch, Wanted
from image_cloud.node import Node
from image_cloud.picture.record import Record
from image_cloud.picture.url import Url
from image_cloud.process.heartbeat import holder, modified, path_of, threads_of
from image_cloud.supervision.watchdog import DaemonWatch, Hung
from tests.cloning import change, picture, sha256
from tests.frontdoor.client import eventually, jpeg
from tests.node import new_node
from tests.origin import Call, Origin

CONTENT = jpeg(64, 48)
END_S = 60.0
NAMES = ("janitor", "peer_clone", "prefetch", "sampler")
CLUSTER = "node.name=ic00;cluster.workers=1;cluster.peers=ic01=http://{peer}"


class Daemon:
    """`python -m daemons.NAME` of a node."""

    def __init__(self, name: str, node: Node) -> None:
        self.program = f"image-cloud-{name.replace('_', '-')}"
        self.node = node
        home = node.storage.parent
        (home / "run" / "beats").mkdir(exist_ok=True)
        (home / "peer_token").write_text("token")
        (home / "image_cloud.ini").write_text(render(node.config))
        self.log = home / f"{name}.log"
        environment = {
            "IMAGE_CLOUD_CONFIG": str(home / "image_cloud.ini"),
            "PATH": os.environ["PATH"],
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"daemons.{name}"], env=environment, stderr=log
            )

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def has_ended_well(self) -> None:
        """Wait for its end, which must be one in order."""
        status, said = self.process.wait(END_S), self.log.read_text()
        assert status == 0, said
        assert "event=stopped" in said, said
        assert "event=step_cut" not in said, said
        assert "Traceback" not in said, said
        assert self.threads() == {}

    def threads(self) -> dict[str, Path]:
        """Return the heartbeats of its further threads."""
        return threads_of(self.node.run, self.program)

    def runs(self) -> bool:
        return self.process.poll() is None


@pytest.fixture
def new(tmp_path: Path, settings: Settings) -> Callable[..., Node]:
    return lambda overrides="": new_node(tmp_path, overrides, settings)


class Slow:
    """Answers with the picture once it may; `asked` tells that somebody waits."""

    def __init__(self) -> None:
        self.asked, self.may_answer = threading.Event(), threading.Event()

    def __call__(self, call: Call) -> None:
        self.asked.set()
        self.may_answer.wait(END_S)
        call.reply(CONTENT, headers={"Content-Type": "image/jpeg", "X-Sha256": sha256(CONTENT)})


def rows(node: Node) -> dict[str, Record]:
    with node.database.transaction() as cursor:
        return {one.key: one for one in catalog.after(cursor, "", 100)}


def lost(node: Node, url: str) -> Record:
    """Return a picture that the catalogue has and the disk has not."""
    parsed = Url.parse(url)
    record = Record(
        parsed.key,
        url,
        parsed.host,
        "jpeg",
        64,
        48,
        len(CONTENT),
        sha256(CONTENT),
        1000.0,
        "origin",
    )
    with node.database.transaction() as cursor:
        catalog.upsert(cursor, [record])
    return record


def test_the_audit_finishes_its_repair_and_the_recorder_its_rows(
    new: Callable[..., Node], origin: Origin
) -> None:
    slow, node = Slow(), new()
    record = lost(node, origin.behave("/lost.jpg", slow))
    with Daemon("janitor", node) as janitor:
        assert slow.asked.wait(END_S)
        assert set(janitor.threads()) == {"audit", "recorder"}
        janitor.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            janitor.process.wait(1.0)  # a step is under way
        slow.may_answer.set()
        janitor.has_ended_well()
    assert node.store.originals.find(record.key)
    assert rows(node)[record.key].stored_at > record.stored_at  # it counts as the newer store
    assert list(node.store.records.unrecorded()) == []


class APeer:
    """Holds polls of its feed back for ever, and sends its pictures when it may."""

    def __init__(self, origin: Origin, node_name: str) -> None:
        self.pictures, self.polled = Slow(), threading.Event()
        self.broke_off = threading.Event()
        self._first = [self._page([])]
        origin.behave("/changes", self._changes)
        origin.behave("/get_image", self.pictures)

    def _page(self, changes: list[Any]) -> bytes:
        page = {
            "now": time.time(), "cursor": "", "more": False, "backlog": 0, "read": {},
            "accepts_deletes": False, "held": {"seconds": 0.0}, "changes": changes,
        }  # fmt: skip
        return json.dumps(page).encode()

    def _changes(self, call: Call) -> None:
        if self._first:
            call.reply(self._first.pop())
            return
        self.polled.set()
        call.sock.settimeout(END_S)
        with contextlib.suppress(OSError):
            if call.sock.recv(1) == b"":
                self.broke_off.set()


def test_followers_break_off_and_cloners_finish_their_picture(
    new: Callable[..., Node], origin: Origin
) -> None:
    peer = APeer(origin, "ic01")
    node = new(
        CLUSTER.format(peer=origin.sample_origin) + ";cluster.poll=60 s;cluster.read_timeout=60 s"
    )
    wanted = [picture(number, content=CONTENT) for number in range(3)]
    with node.database.transaction() as cursor:
        clones.add(cursor, map(change, wanted), "ic01")
    with Daemon("peer_clone", node) as daemon:
        assert peer.polled.wait(END_S)
        assert peer.pictures.asked.wait(END_S)
        threads = {"rebuild", "follower-ic01", "cloner-1", "streamer-ic01"}
        eventually(lambda: set(daemon.threads()) == threads, "all run")
        daemon.terminate()
        assert peer.broke_off.wait(END_S)
        assert daemon.runs()  # for the picture that is under way
        peer.pictures.may_answer.set()
        daemon.has_ended_well()
    assert len(rows(node)) == 1
    assert node.peer_states.read()["ic01"].alive  # it was us who broke off
    with node.database.transaction() as cursor:
        assert clones.count(cursor) == 2


def prefetch(node: Node, url: str) -> None:
    parsed = Url.parse(url)
    domain = node.limits.current().domain_of(parsed).name
    batch = NewBatch("tester", time.time(), 0, (), 1, 0, 0, 0)
    with node.database.transaction() as cursor:
        intake.take_in(cursor, batch, [Wanted(parsed.key, url, domain)])


def test_the_prefetch_daemon_writes_down_what_it_finishes(
    new: Callable[..., Node], origin: Origin
) -> None:
    slow, node = Slow(), new("prefetch.threads=2")
    url = origin.behave("/a.jpg", slow)
    with Daemon("prefetch", node) as daemon:
        prefetch(node, url)
        assert slow.asked.wait(END_S)
        assert {"recorder", "download-1"} <= set(daemon.threads())
        daemon.terminate()
        slow.may_answer.set()
        daemon.has_ended_well()
    assert len(rows(node)) == 1
    with node.database.transaction() as cursor:
        cursor.execute("SELECT count(*) FROM prefetch_requests")
        assert cursor.fetchone() == (0,)


def test_a_daemon_without_work_ends_at_once(new: Callable[..., Node]) -> None:
    node = new()
    (node.run / "beats").mkdir(exist_ok=True)
    for name in NAMES:
        killed = path_of(
            node.run, f"image-cloud-{name.replace('_', '-')}", "of-one-that-was-killed"
        )
        killed.write_text("1\n")
        with Daemon(name, node) as daemon:
            beat = path_of(node.run, daemon.program)
            eventually(lambda: holder(beat) == daemon.process.pid, "it runs")  # noqa: B023
            daemon.terminate()
            daemon.has_ended_well()


def test_once_is_one_step_and_touches_no_heartbeat(new: Callable[..., Node]) -> None:
    node = new()
    (node.run / "beats").mkdir(exist_ok=True)
    (node.storage.parent / "image_cloud.ini").write_text(render(node.config))
    environment = {"IMAGE_CLOUD_CONFIG": str(node.storage.parent / "image_cloud.ini")}
    for name in NAMES:
        command = [sys.executable, "-m", f"daemons.{name}", "--once"]
        done = subprocess.run(
            command, env=environment, timeout=END_S, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    assert list((node.run / "beats").iterdir()) == []


# --- what hangs ---


@contextlib.contextmanager
def locked(settings: Settings, *tables: str) -> Iterator[None]:
    """Have every query of these tables wait, as a disk or a lock can do."""
    with Database(settings).transaction() as cursor:
        for table in tables:
            cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


def seen(daemon: Daemon, limit_s: float = 2.0) -> Callable[[], Hung | None]:
    """Return the watchdog's look at a daemon."""
    return DaemonWatch(daemon.program, limit_s, daemon.node.run).look


def naming(look: Callable[[], Hung | None], threads: str) -> Hung | None:
    """Look once; return what is wrong if it is about these threads."""
    hung = look()
    return hung if hung and threads in hung.reason else None


def test_an_audit_that_hangs_is_seen(new: Callable[..., Node], settings: Settings) -> None:
    with Daemon("janitor", new("janitor.audit_pause=100 ms")) as janitor:
        eventually(lambda: "audit" in janitor.threads(), "it runs")
        with locked(settings, "images"):
            look = seen(janitor)
            hung = eventually(lambda: naming(look, "audit"), "it is seen")
        assert hung.name == "image-cloud-janitor"


def test_a_follower_and_a_cloner_that_hang_are_seen(
    new: Callable[..., Node], origin: Origin, settings: Settings
) -> None:
    APeer(origin, "ic01")
    node = new(
        CLUSTER.format(peer=origin.sample_origin)
        + ";cluster.poll=100 ms;cluster.read_timeout=200 ms"
    )
    with Daemon("peer_clone", node) as daemon:
        eventually(lambda: {"follower-ic01", "cloner-1"} <= set(daemon.threads()), "they run")
        look = seen(daemon)
        with locked(settings, "peers", "clone_requests"):
            hung = eventually(lambda: naming(look, "cloner-1, follower-ic01"), "both are seen")
            assert hung.name == "image-cloud-peer-clone"
        eventually(lambda: look() is None, "they go on")
        assert modified(daemon.threads()["follower-ic01"])
