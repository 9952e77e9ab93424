"""Two nodes on one storage and one database, each with its variants on a disk of its own."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from image_cloud.picture.key import fan_out, key_of
from image_cloud.picture.record import Tombstone
from image_cloud.process.locks import locked
from image_cloud.storage.local.lease import Lease
from image_cloud.storage.tombstones import Tombstones
from tests.cluster.nodes import SETTINGS, eventually
from tests.frontdoor.client import get, jpeg
from tests.origin import Origin
from tests.stack.running import Stack

CLONE, OWN_DATABASE = "image-cloud-peer-clone", "postgres"


class Pair:
    """The first has the storage and the database; each has its variants in `variants`."""

    def __init__(self, folder: Path) -> None:
        home = folder / "a"
        own = SETTINGS | {"cluster.shared_storage": "true", "refresh.least_age": "0 s"}
        shared = {
            "storage.path": f"{home}/storage",
            "database.dsn": f"host={home}/run/postgres port=5436 user=image_cloud dbname=image_cloud",
            "node.name": "ic01",
        }
        self.first = Stack(home, settings=_text(own | _apart(home)))
        self.second = Stack(folder / "b", settings=_text(own | shared | _apart(folder / "b")))


def _apart(home: Path) -> dict[str, str]:
    return {"storage.variants_path": f"{home}/variants"}


def _text(settings: dict[str, str]) -> str:
    return ";".join(f"{option}={value}" for option, value in settings.items())


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with tempfile.TemporaryDirectory(prefix="ic-apart-") as folder:
        pair = Pair(Path(folder))
        with pair.first, pair.second:
            yield pair


def variants(stack: Stack, url: str) -> list[str]:
    """Return the names of the variants of `url` on the disk of `stack`."""
    key = key_of(url)
    folder = stack.home / "variants/variants" / fan_out(key) / key
    return sorted(path.name for path in folder.glob("[!.]*"))


def thumbnail(stack: Stack, url: str) -> requests.Response:
    return get(stack, "/get_thumbnail", url=url)


def is_sent_by_nginx(stack: Stack, url: str) -> bool:
    """Say whether nginx sends the thumbnail alone: no pool names what they send."""
    answer = thumbnail(stack, url)
    log = stack.home / "log/nginx/access.log"
    wanted = answer.headers["X-Request-Id"]

    def line() -> str:
        return next((one for one in log.read_text().splitlines() if wanted in one), "")

    eventually(lambda: bool(line()), "logged")
    return answer.status_code == 200 and '"upstream_status"' not in line()


def seen_at_both(pair: Pair, origin: Origin, path: str, seed: int) -> str:
    """Return a picture whose thumbnail both nodes have, and send without a pool."""
    url = origin.serve(path, jpeg(640, 480, seed=seed))
    for stack in (pair.first, pair.second):
        assert thumbnail(stack, url).status_code == 200
        eventually(functools.partial(is_sent_by_nginx, stack, url), "sent by nginx alone")
    return url


def test_each_node_keeps_its_own_variants(pair: Pair, origin: Origin) -> None:
    url = seen_at_both(pair, origin, "/both.jpg", 1)
    assert variants(pair.first, url) == variants(pair.second, url) != []
    assert not list((pair.first.home / "storage/variants").glob("??"))
    assert origin.count("/both.jpg") == 1


def test_new_pictures_do_not_cost_their_variants(pair: Pair, origin: Origin) -> None:
    """The feed tells a node of its own stores, too."""
    url = seen_at_both(pair, origin, "/stays.jpg", 2)
    other = seen_at_both(pair, origin, "/goes.jpg", 11)
    for one in (url, other):
        eventually(functools.partial(is_recorded, pair, one), "recorded")
    get(pair.first, "/delete_image", "DELETE", url=other)
    eventually(lambda: variants(pair.second, other) == [], "the feed was read so far")
    assert variants(pair.first, url) == variants(pair.second, url) != []


def test_a_delete_at_one_drops_the_variants_of_the_other(pair: Pair, origin: Origin) -> None:
    url = seen_at_both(pair, origin, "/deleted.jpg", 3)
    deleted = get(pair.first, "/delete_image", "DELETE", url=url, block="true")
    assert deleted.json()["recorded"] is True
    eventually(lambda: thumbnail(pair.second, url).status_code == 410, "deleted there")
    assert variants(pair.second, url) == []


def test_a_replaced_picture_shows_at_both(pair: Pair, origin: Origin) -> None:
    url = seen_at_both(pair, origin, "/replaced.jpg", 4)
    old = thumbnail(pair.second, url).content
    origin.serve("/replaced.jpg", jpeg(640, 480, seed=5))
    assert get(pair.first, "/refresh_image", "POST", url=url).json()["changed"]
    eventually(lambda: thumbnail(pair.second, url).content != old, "replaced there")
    assert thumbnail(pair.first, url).content == thumbnail(pair.second, url).content


def test_a_node_that_was_away_sends_nothing_that_was_deleted(pair: Pair, origin: Origin) -> None:
    url = seen_at_both(pair, origin, "/away.jpg", 6)
    pair.second.stop()
    get(pair.first, "/delete_image", "DELETE", url=url, block="true")
    pair.second.start()
    assert thumbnail(pair.second, url).status_code == 410
    eventually(lambda: variants(pair.second, url) == [], "dropped")


def test_without_news_each_variant_is_compared_with_its_original(
    pair: Pair, origin: Origin
) -> None:
    """Nobody tells the second node, so it looks."""
    kept, gone = (
        seen_at_both(pair, origin, f"/{name}.jpg", seed) for name, seed in (("k", 7), ("g", 8))
    )
    pair.second.supervisorctl("stop", CLONE)
    try:
        get(pair.first, "/delete_image", "DELETE", url=gone, block="true")
        eventually(lambda: thumbnail(pair.second, gone).status_code == 410, "deleted there")
        eventually(lambda: not is_sent_by_nginx(pair.second, kept), "not believed")
        answer = thumbnail(pair.second, kept)
        assert (answer.status_code, answer.headers["X-Cache"]) == (200, "HIT")
    finally:
        pair.second.supervisorctl("start", CLONE)
    eventually(lambda: is_sent_by_nginx(pair.second, kept), "believed again")


def test_deletes_hold_at_both_while_the_database_is_away(pair: Pair, origin: Origin) -> None:
    url = seen_at_both(pair, origin, "/dark.jpg", 9)
    pair.first.supervisorctl("stop", OWN_DATABASE)
    try:
        deleted = get(pair.first, "/delete_image", "DELETE", url=url, block="true").json()
        assert (deleted["deleted"], deleted["recorded"]) == (True, False)
        eventually(lambda: thumbnail(pair.second, url).status_code == 410, "deleted there")
    finally:
        pair.first.supervisorctl("start", OWN_DATABASE)


@contextlib.contextmanager
def on_its_way(pair: Pair, origin: Origin, path: str, seed: int) -> Iterator[str]:
    """Give a picture whose thumbnail the first node has answered, but cannot store before the end."""
    url, other = (origin.serve(name, jpeg(640, 480, seed=seed)) for name in (path, f"/0{path}"))
    lock_file = pair.first.home / "storage/cluster/.placing"
    assert get(pair.first, "/get_image", url=other).status_code == 200
    assert lock_file.exists(), "it belongs to the node"
    eventually(Lease(pair.first.home / "variants").holds, "variants are believed")
    with locked(lock_file, key_of(url), 10.0):
        answer = thumbnail(pair.first, url)
        assert (answer.status_code, answer.headers.get("X-Cache")) == (200, "RESIZED"), answer.text
        assert (originals(pair, url), marks(pair)) == ([], [key_of(url)])
        yield url


def originals(pair: Pair, url: str) -> list[Path]:
    return list((pair.first.home / "storage/originals").rglob(f"{key_of(url)}.*"))


def marks(pair: Pair) -> list[str]:
    """Return what the first node has on its way."""
    return os.listdir(pair.first.home / "variants/arriving")


def test_a_thumbnail_is_answered_before_its_original_is_stored(pair: Pair, origin: Origin) -> None:
    with on_its_way(pair, origin, "/soon.jpg", 12) as url:
        assert variants(pair.first, url) != []
        assert is_sent_by_nginx(pair.first, url)
        other = get(pair.first, "/get_image", url=url, resize_width=90)
        assert (other.status_code, other.headers["X-Cache"]) == (200, "RESIZED")
    eventually(lambda: originals(pair, url) and not marks(pair), "stored")
    eventually(functools.partial(is_recorded, pair, url), "recorded")
    assert variants(pair.first, url) != []
    assert origin.count("/soon.jpg") == 1


def test_both_nodes_wait_for_an_original_on_its_way(pair: Pair, origin: Origin) -> None:
    wanted = (
        (pair.first, "/get_image"),
        (pair.second, "/get_image"),
        (pair.second, "/get_thumbnail"),
    )
    with ThreadPoolExecutor() as threads:
        with on_its_way(pair, origin, "/waited.jpg", 13) as url:
            asked = [threads.submit(get, stack, path, url=url) for stack, path in wanted]
            with pytest.raises(TimeoutError):
                asked[1].result(0.5)
        assert [one.result(30).status_code for one in asked] == [200] * 3
    assert origin.count("/waited.jpg") == 1


def test_a_delete_reaches_an_original_on_its_way(pair: Pair, origin: Origin) -> None:
    with ThreadPoolExecutor() as threads:
        with on_its_way(pair, origin, "/unwanted.jpg", 14) as url:
            delete = threads.submit(
                get, pair.second, "/delete_image", "DELETE", url=url, block="true"
            )
        assert delete.result(30).status_code == 200, delete.result().text
    for stack in (pair.first, pair.second):
        eventually(functools.partial(is_gone, stack, url), "deleted")
    eventually(lambda: (variants(pair.first, url), marks(pair)) == ([], []), "nothing is left")
    assert originals(pair, url) == []


def test_a_tombstone_that_came_before_an_original_wins(pair: Pair, origin: Origin) -> None:
    with on_its_way(pair, origin, "/too_late.jpg", 15) as url:
        tombstone = Tombstone(key_of(url), url, time.time() + 1, blocked=True)
        Tombstones(pair.first.home / "storage").write(tombstone)
    eventually(lambda: (variants(pair.first, url), marks(pair)) == ([], []), "nothing is left")
    assert (thumbnail(pair.first, url).status_code, originals(pair, url)) == (410, [])


def test_variants_go_with_a_process_that_had_their_original(pair: Pair, origin: Origin) -> None:
    with on_its_way(pair, origin, "/lost.jpg", 16) as url:
        for process in children(pair.first.pid("image-cloud-fetch")):
            os.kill(process, signal.SIGKILL)
        eventually(lambda: (variants(pair.first, url), marks(pair)) == ([], []), "nothing is left")
        assert originals(pair, url) == []
    assert thumbnail(pair.second, url).status_code == 200
    assert origin.count("/lost.jpg") == 2
    eventually(lambda: originals(pair, url), "the second node has stored it")


def is_gone(stack: Stack, url: str) -> bool:
    return thumbnail(stack, url).status_code == 410


def children(process: int) -> list[int]:
    return [
        int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()
    ]


def is_recorded(pair: Pair, url: str) -> bool:
    return pair.first.psql(f"select count(*) from images where url = '{url}'") == "1\n"
