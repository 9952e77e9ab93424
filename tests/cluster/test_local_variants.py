"""Two nodes on one storage and one database, each with its variants on a disk of its own."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from image_cloud.picture.key import fan_out, key_of
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


def is_recorded(pair: Pair, url: str) -> bool:
    return pair.first.psql(f"select count(*) from images where url = '{url}'") == "1\n"
