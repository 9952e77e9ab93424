"""What is tried; each stage leaves the world whole, so that any of them can run alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.cluster.nodes import eventually
from tests.origin import Call, Gate, answer
from tests.shared_storage.checks import check, served, served_without_storage
from tests.shared_storage.load import PICTURE, numbered
from tests.shared_storage.world import BACK_S, GONE_S, LIMIT, LIMITED, SharedNode, World

DELETES = 20
CALM_S = 4.0  # the storage may be silent once more before it has given a host up


def read(world: World) -> None:
    """What one node stores, the other has; both share one download, and each learns once of a failure."""
    one, other = world.nodes
    url = world.origin.behave("/read.jpg", send)
    here, there = one.get(url), other.get(url)
    assert (here.headers["X-Cache"], here.content) == ("MISS", PICTURE)
    assert (there.headers["X-Cache"], there.content) == ("HIT", PICTURE)
    for name in ("ETag", "Last-Modified"):
        assert here.headers[name] == there.headers[name], (
            "sent from the node's own disk, and as stored"
        )
    failing = answer(500)
    for path, then, status, most in (("/slow.jpg", send, 200, 1), ("/broken.jpg", failing, 502, 2)):
        gate = Gate(then)
        url = world.origin.behave(path, gate)
        with ThreadPoolExecutor() as pool:
            asked = [pool.submit(node.get, url) for node in world.nodes * 3]
            gate.await_arrival()
            gate.open()
            assert {one.result().status_code for one in asked} == {status}
        assert world.origin.count(path) <= most, path


def limit(world: World) -> None:
    """A domain gets as many downloads as max_downloads.json says, from all nodes together."""
    count = Count()
    urls = [world.origin.behave(f"/limited-{n}.jpg", count, host=LIMITED) for n in range(12)]
    with ThreadPoolExecutor(len(urls)) as pool:
        asked = [pool.submit(world.nodes[n % 2].get, url) for n, url in enumerate(urls)]
        assert {one.result().status_code for one in asked} == {200}
    assert count.most == LIMIT, f"{count.most} downloads at once"


def delete(world: World) -> None:
    """What one node deletes, the other sends no more a second later: original, thumbnail, nothing."""
    worst_s = 0.0
    for number in range(DELETES):
        one, other = world.nodes if number % 2 else world.nodes[::-1]
        url = world.origin.serve(f"/delete-{number}.jpg", numbered(10**6 + number))
        for node in world.nodes:
            assert node.get(url).status_code == node.thumbnail(url).status_code == 200
        one.delete(url, block="true")
        worst_s = max(worst_s, _seconds_until_gone(other, url))
        world.ledger.delete(url)
    print(f"  the other node sent deleted pictures for up to {worst_s * 1000:.0f} ms", flush=True)
    assert worst_s <= GONE_S


def brick(world: World) -> None:
    """A brick is killed and healed: nobody notices."""
    with world.load() as load:
        load.wait(world.seconds / 2)
        world.volume.kill_bricks(2)
        load.wait(world.seconds)
        world.volume.start_bricks(2)
        load.wait(world.seconds)
    world.volume.await_healed()
    check(load.answers, served, world.logged)


def unplugged(world: World) -> None:
    """A brick's host vanishes without a word: the storage is silent for network.ping-timeout at most."""
    with world.load() as load:
        world.volume.unplug(2)
        try:
            world.await_well()
            eventually(lambda: load.is_calm(CALM_S), "the storage has given the host up", BACK_S)
            given_up = load.mark()
            load.wait(world.seconds)
        finally:
            world.volume.plug(2)
        load.wait(world.seconds)
    world.volume.await_healed()
    check(load.answers[:given_up], served_without_storage, world.logged, most_s=15)
    check(load.since(given_up), served, world.logged, most_s=15)


def quorum(world: World) -> None:
    """Two bricks are killed: stored originals are a 503, thumbnails are sent, new pictures pass through."""
    volume = world.volume
    try:
        _break(world, lambda: volume.kill_bricks(1, 2), lambda: volume.start_bricks(1, 2))
    finally:  # what follows is to be tried on a whole volume
        volume.await_healed()


def unmounted(world: World) -> None:
    """A node's mount is taken away, and comes back."""
    mount = world.nodes[1].mount
    _break(world, mount.unmount, mount.mount)


def killed_mount(world: World) -> None:
    """The process that serves a node's mount dies (ENOTCONN), and the mount comes back."""
    mount = world.nodes[1].mount

    def again() -> None:
        mount.unmount()
        mount.mount()

    _break(world, mount.kill, again)


def hung_mount(world: World) -> None:
    """A node's mount hangs: its answers do not."""
    mount = world.nodes[1].mount
    _break(world, mount.pause, mount.resume)


def killed_node(world: World) -> None:
    """A node loses its power: the other serves everything meanwhile, and it comes back."""
    one, other = world.nodes
    with world.load() as load:
        load.wait(world.seconds / 2)
        other.kill()
        load.wait(world.seconds)
        other.start()
    check([told for told in load.answers if told.node == one.name], served, world.logged)
    world.await_well()


def failover(world: World) -> None:
    """PostgreSQL's primary dies, and its standby is promoted: pictures are served, deletes soon again."""
    with world.load() as load:
        load.wait(world.seconds / 2)
        world.database.fail_over()
        load.wait(world.seconds)
    check(load.answers, served, world.logged, kinds=("new", "original", "thumbnail"), most_s=15)
    world.await_well()
    world.await_catalogue()
    world.database.rejoin()


def compare(world: World) -> None:
    """Each acknowledged store is at each node, bit by bit, and no acknowledged delete."""
    world.volume.await_healed()
    assert not (wrong := world.ledger.differences(world.nodes)), "\n".join(wrong[:20])
    world.await_catalogue()
    print(f"  {world.ledger.summary()}", flush=True)


STAGES: dict[str, Callable[[World], None]] = {
    stage.__name__: stage
    for stage in (
        read, limit, delete, brick, unplugged, quorum, unmounted, killed_mount, hung_mount,
        killed_node, failover, compare,
    )
}  # fmt: skip


def send(call: Call) -> None:
    """Be an origin that has a picture."""
    call.reply(PICTURE, headers={"Content-Type": "image/jpeg"})


def _break(world: World, take: Callable[[], None], give_back: Callable[[], None]) -> None:
    """Have the storage away for a while under load, and expect of it what was promised."""
    with world.load() as load:
        load.wait(world.seconds / 2)
        before = load.mark()
        take()
        try:
            load.wait(world.seconds)
        finally:
            give_back()
        load.wait(2)
    check(load.since(before), served_without_storage, world.logged, most_s=15)
    world.await_well()


def _seconds_until_gone(node: SharedNode, url: str) -> float:
    """Return how long after its delete the last request came that was answered with a picture."""
    deleted, last_s = time.monotonic(), 0.0
    while True:
        asked_s = time.monotonic() - deleted
        if 200 not in (node.get(url).status_code, node.thumbnail(url).status_code):
            return last_s
        last_s = asked_s
        assert last_s < 10 * GONE_S, f"{url} is sent for ever"


class Count:
    """An origin's behaviour that knows how many requests it had at once."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._now = 0
        self.most = 0

    def __call__(self, call: Call) -> None:
        with self._mutex:
            self._now += 1
            self.most = max(self.most, self._now)
        call.wait(0.2)
        with self._mutex:
            self._now -= 1
        send(call)
