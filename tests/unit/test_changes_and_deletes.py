"""/changes and /delete_image: what the front pool hands on, and what the fetch pool answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcon_app.control.changes import ChangesAnswer
from falcon_app.control.deletes import DeleteAnswer
from falcon_app.front.changes import Changes
from falcon_app.front.deletes import DeleteImage
from image_cloud.cluster.deletes import Deleted
from image_cloud.cluster.feed_page import PageRequest
from image_cloud.cluster.peer_states import PeerState, PeerStates
from image_cloud.db.feed import Position
from image_cloud.picture.url import Url
from image_cloud.request.query import Query
from tests.unit.web import client, redirect

EPOCH, KEY = "6b6b1dd9-5c4f-4d4d-a0f5-0123456789ab", "0f" * 32
URL = "http://shop.example/a%20b.jpg?x=1&y=ä"


class Pages:
    """Answers with what it was asked for."""

    def answer(self, asked: PageRequest) -> dict[str, Any]:
        return {"asked": asked.arguments()}


class Deletes:
    def __init__(self) -> None:
        self.asked: list[tuple[Url, bool | None]] = []

    def delete(self, url: Url, block: bool | None = None) -> Deleted:
        self.asked.append((url, block))
        return Deleted(deleted=True, blocked=bool(block), recorded=True)


# --- changes --------------------------------------------------------------------------------------


@given(st.integers(0, 2**63), st.integers(0, 2000), st.integers(0, 60_000))
def test_the_fetch_pool_reads_what_the_front_pool_checked(xid: int, limit: int, wait: int) -> None:
    asked = PageRequest(Position(EPOCH, xid, 7), limit, wait / 1000)
    query = "&".join(f"{name}={value}" for name, value in asked.arguments().items())
    assert PageRequest.read(Query(query)) == asked


@pytest.mark.parametrize(
    ("query", "handed_on"),
    [
        ("", "cursor=&limit=2000&wait=0.000000&key="),
        ("wait=2.5&limit=0", "cursor=&limit=0&wait=2.500000&key="),
        (f"cursor={EPOCH}.3.4&wait=60", f"cursor={EPOCH}.3.4&limit=2000&wait=60.000000&key="),
        (f"key={KEY}", f"cursor=&limit=2000&wait=0.000000&key={KEY}"),
    ],
)
def test_changes_are_handed_on_and_answered(query: str, handed_on: str) -> None:
    web = client({"/changes": Changes(), "/_changes": ChangesAnswer(Pages())})
    target = redirect(web.simulate_get("/changes", query_string=query))
    assert target == f"/_changes?{handed_on}"
    answer = web.simulate_get(target)
    assert answer.json["asked"] == PageRequest.read(Query(query)).arguments()
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("cursor=yesterday", "cursor"), ("limit=2001", "limit"), ("limit=many", "limit"),
        ("wait=61", "wait"), ("wait=-1", "wait"), ("wait=nan", "wait"), ("wait=1e1", "wait"),
        ("key=0f", "key"), ("limit=1&limit=2", "limit"),
    ],
)  # fmt: skip
def test_a_bad_question_is_refused(query: str, names: str) -> None:
    answer = client({"/changes": Changes()}).simulate_get("/changes", query_string=query)
    assert (answer.status_code, answer.json["code"]) == (400, "bad_parameter")
    assert answer.json["detail"].startswith(f"{names}: ")


# --- deletes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [None, True, False])
def test_a_delete_is_handed_on_and_done(tmp_path: Path, block: bool | None) -> None:
    deletes, states = Deletes(), PeerStates(tmp_path / "peers.json")
    web = client(
        {
            "/delete_image": DeleteImage(accepts=True, peers=states),
            "/_delete": DeleteAnswer(deletes),
        }
    )
    more = {} if block is None else {"block": str(block)}
    target = redirect(web.simulate_delete("/delete_image", params={"url": URL, **more}))
    answer = web.simulate_get(target)
    assert deletes.asked == [(Url.parse(URL), block)]
    assert answer.json == {
        "url": URL, "deleted": True, "blocked": bool(block), "recorded": True,
    }  # fmt: skip
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_node_that_takes_no_deletes_names_the_one_that_does(tmp_path: Path) -> None:
    states = PeerStates(tmp_path / "peers.json")
    states.update(PeerState("ic00", "http://ic00:5000", accepts_deletes=True))
    web = client({"/delete_image": DeleteImage(accepts=False, peers=states)})
    answer = web.simulate_delete("/delete_image", params={"url": URL})
    assert (answer.status_code, answer.json["code"]) == (403, "forbidden")
    assert "ic00 (http://ic00:5000)" in answer.json["detail"]


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 400), ("url=x", 400), ("url=ftp://x/", 403), ("url=http://x/&block=maybe", 400)],
)  # fmt: skip
def test_a_bad_delete_is_refused(tmp_path: Path, query: str, status: int) -> None:
    web = client({"/delete_image": DeleteImage(accepts=True, peers=PeerStates(tmp_path / "p"))})
    answer = web.simulate_delete("/delete_image", query_string=query)
    assert answer.status_code == status
    assert answer.json["detail"].startswith(("url: ", "block: "))
