"""Two nodes on one storage folder and one database, with cloning off."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.cluster.nodes import SETTINGS, eventually
from tests.frontdoor.client import get, jpeg
from tests.origin import Behaviour, Gate, Origin, answer
from tests.stack.running import Stack

Pair = tuple[Stack, Stack]


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    own = {"cluster.shared_storage": "true", "cluster.legacy_get_delete": "true"}
    settings = ";".join(f"{option}={value}" for option, value in {**SETTINGS, **own}.items())
    with tempfile.TemporaryDirectory(prefix="ic-shared-") as folder:
        home = Path(folder) / "a"
        place = f"storage.path={home}/storage;database.dsn=host={home}/run/postgres port=5436"
        place += " user=image_cloud dbname=image_cloud;node.name=ic01"
        with (
            Stack(home, settings=settings) as first,
            Stack(Path(folder) / "b", settings=f"{settings};{place}") as second,
        ):
            yield first, second


def test_what_one_stores_the_other_has(pair: Pair, origin: Origin) -> None:
    first, second = pair
    url, content = origin.serve("/a.jpg", jpeg(64, 48)), jpeg(64, 48)
    assert get(first, "/get_image", url=url).headers["X-Cache"] == "MISS"
    answered = get(second, "/get_image", url=url)
    assert (answered.headers["X-Cache"], answered.content) == ("HIT", content)
    assert get(second, "/get_thumbnail", url=url).status_code == 200
    assert get(first, "/get_thumbnail", url=url).headers["X-Cache"] == "HIT"


@pytest.mark.parametrize(
    ("path", "then", "status"),
    [
        ("/slow.jpg", lambda call: call.reply(jpeg(64, 48, seed=2)), 200),
        ("/broken.jpg", answer(500), 502),
    ],
)
def test_both_share_one_download_and_its_failure(
    pair: Pair, origin: Origin, path: str, then: Behaviour, status: int
) -> None:
    gate, answers = Gate(then), list[requests.Response]()
    url = origin.behave(path, gate)
    threads = [
        threading.Thread(target=lambda s=stack: answers.append(get(s, "/get_image", url=url)))
        for stack in pair
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    gate.await_arrival()
    gate.open()
    for thread in threads:
        thread.join(30)
    assert [one.status_code for one in answers] == [status] * 6
    assert origin.count(path) == 1


def test_a_delete_at_one_holds_at_the_other(pair: Pair, origin: Origin) -> None:
    first, second = pair
    url = origin.serve("/gone.jpg", jpeg(64, 48, seed=3))
    get(first, "/get_image", url=url)
    deleted = get(second, "/delete_image", "DELETE", url=url, block="true")
    assert deleted.json()["deleted"] is True
    assert get(first, "/get_image", url=url).status_code == 410


def test_get_deletes_where_the_ini_says_so(pair: Pair, origin: Origin) -> None:
    url = origin.serve("/old_habit.jpg", jpeg(64, 48, seed=4))
    get(pair[0], "/get_image", url=url)
    assert get(pair[1], "/delete_image", url=url).json()["deleted"] is True
    assert get(pair[0], "/get_image", url=url, only_send_if_local="true").status_code == 404


def test_one_database_keeps_the_book_and_nothing_is_cloned(pair: Pair, origin: Origin) -> None:
    first, second = pair
    urls = [origin.serve(f"/book{n}.jpg", jpeg(64, 48, seed=10 + n)) for n in range(6)]
    for number, url in enumerate(urls):
        get(pair[number % 2], "/get_image", url=url)
    names = ", ".join(f"'{url}'" for url in urls)
    eventually(
        lambda: first.psql(f"select count(*) from images where url in ({names})") == "6\n",
        "recorded",
    )
    assert first.psql("select count(*) from clone_requests") == "0\n"
    assert not (second.home / "postgres").exists()
    assert not list((first.home / "storage/unrecorded").iterdir())


def test_both_janitors_share_the_work(pair: Pair, origin: Origin) -> None:
    """A damaged original is healed once, from the origin, though both look for it."""
    first, _ = pair
    content = jpeg(64, 48, seed=20)
    url = origin.serve("/damaged.jpg", content)
    get(first, "/get_image", url=url)
    folder = first.home / "storage"
    eventually(lambda: not list((folder / "unrecorded").iterdir()), "recorded")
    (path,) = [p for p in folder.glob("originals/??/??/*") if p.read_bytes() == content]
    path.write_bytes(content[:-3] + b"x" + content[-2:])
    eventually(lambda: path.read_bytes() == content, "healed")
    assert origin.count("/damaged.jpg") == 2
