"""A queue that is full says so at once, and nobody who is in it loses the place."""

from __future__ import annotations

import functools
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SETTINGS
from tests.frontdoor.asking import Asking
from tests.frontdoor.client import eventually, get, jpeg, problem
from tests.frontdoor.test_fallback import replaced
from tests.origin import Gate, Origin, answer
from tests.stack.running import Stack

ROOM = 3


@pytest.fixture(scope="module")
def narrow() -> Iterator[Stack]:
    """A stack with little room in its queues."""
    queues = f"pools.fetch_queue={ROOM};pools.resize_queue={ROOM};pools.resize_workers=1"
    with (
        tempfile.TemporaryDirectory(prefix="image-cloud-") as folder,
        Stack(Path(folder) / "home", settings=f"{SETTINGS};{queues}") as running,
    ):
        yield running


def test_a_full_fetch_queue_refuses_at_once(narrow: Stack, origin: Origin) -> None:
    hit = origin.serve("/hit.jpg", jpeg(seed=1))
    assert get(narrow, "/get_thumbnail", url=hit).status_code == 200
    gone = origin.behave("/gone.jpg", answer(404))
    assert get(narrow, "/get_thumbnail", url=gone).status_code == 404
    # Twice: connections that nginx keeps open to the pool must not count the second time.
    for turn in range(2):
        gate = Gate(answer(404))
        paths = [f"/slow{turn}-{number}" for number in range(ROOM)]
        asking = Asking(narrow, "/get_image", [origin.behave(path, gate) for path in paths])
        eventually(functools.partial(_all_asked, origin, paths), "full")
        refused = get(narrow, "/get_image", url=origin.serve(f"/more{turn}.jpg", jpeg(seed=2)))
        problem(refused, 503, "busy")
        assert refused.headers["Retry-After"]
        check_fallbacks(narrow, origin.url(f"/other{turn}.jpg"))
        assert not asking.answers, "refused while the others still wait"
        assert get(narrow, "/get_thumbnail", url=hit).headers["X-Cache"] == "HIT"
        for number in range(8):  # what is known needs no place, whichever worker of nginx is asked
            made = get(narrow, "/get_image", url=hit, resize_width=100 + 8 * turn + number)
            assert made.headers["X-Cache"] == "RESIZED"
            assert get(narrow, "/get_thumbnail", url=gone).status_code == 404
        gate.open()
        assert asking.statuses() == [404] * ROOM
    more = origin.serve("/more0.jpg", jpeg(seed=2))
    assert get(narrow, "/get_image", url=more).status_code == 200, "there is room again"


def check_fallbacks(narrow: Stack, url: str) -> None:
    """Check that nginx sends another picture to whoever wants it, and hides no error with it."""
    made = narrow.home / "storage/fallback/800x800-fit-q85.jpg"
    eventually(made.exists, "the sizes of thumbnails are made, the last is there")
    for path, parameters, size in (
        ("/get_thumbnail", {}, (200, 200)),
        ("/get_thumbnail", {"size": 400}, (400, 400)),
        ("/iproxy.php", {"size": 100}, (100, 100)),
        ("/get_image", {}, (400, 400)),
        ("/get_image", {"resize_width": 90, "resize_height": 40}, (400, 400)),  # never asked for
        ("/get_thumbnail", {"format": "auto"}, (400, 400)),
    ):
        image = replaced(get(narrow, path, url=url, fallback="true", **parameters))
        assert image.size == size, (path, parameters)
        head = get(narrow, path, "HEAD", url=url, fallback="1", **parameters)
        assert (head.status_code, head.content) == (200, b"")
    refused: tuple[dict[str, Any], ...] = (
        {"fallback": "false"}, {}, {"fallback": "1", "no_image": "1"},
    )  # fmt: skip
    for parameters in refused:
        problem(get(narrow, "/get_image", url=url, **parameters), 503, "busy")
    conditional = {"If-None-Match": "*", "Range": "bytes=0-9"}
    replaced(get(narrow, "/get_thumbnail", url=url, fallback="true", headers=conditional))


def test_a_full_decoder_refuses_at_once(narrow: Stack, origin: Origin) -> None:
    hit = origin.serve("/hit.jpg", jpeg(seed=1))
    assert get(narrow, "/get_thumbnail", url=hit).status_code == 200
    urls = [origin.serve(f"/resize{number}.jpg", jpeg(seed=number)) for number in range(ROOM + 2)]
    for url in urls:
        assert get(narrow, "/get_image", url=url, no_image=1).status_code == 204
    master = narrow.pid("image-cloud-decoder")
    (worker,) = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    os.kill(int(worker), signal.SIGSTOP)
    try:
        asking = Asking(narrow, "/get_thumbnail", urls)
        eventually(lambda: asking.answers, "one is too many")
        problem(asking.answers[0], 503, "busy")
        assert asking.answers[0].headers["Retry-After"]
        assert len(asking.answers) == 1, "the others wait"
        assert get(narrow, "/get_thumbnail", url=hit).headers["X-Cache"] == "HIT"
    finally:
        os.kill(int(worker), signal.SIGCONT)
    assert asking.statuses() == [503] + [200] * (ROOM + 1)
    for url in urls:
        assert get(narrow, "/get_thumbnail", url=url).status_code == 200, "there is room again"


def _all_asked(origin: Origin, paths: list[str]) -> bool:
    return all(origin.count(path) for path in paths)
