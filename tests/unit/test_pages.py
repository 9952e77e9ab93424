"""What the operator's pages tell: sessions, attempts, problems, charts, the playground's requests."""

from __future__ import annotations

import dataclasses
import html
import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from image_cloud.config.sections import Resize
from image_cloud.errors import PeerAway
from image_cloud.pages.attempts import EVERY_S, MOST, Attempts
from image_cloud.pages.cards import cards
from image_cloud.pages.charts import drawn, picked
from image_cloud.pages.nodes import Nodes
from image_cloud.pages.playground import Playground
from image_cloud.pages.problems import BAD, problems
from image_cloud.pages.sessions import LIFE_S, Sessions
from image_cloud.request import signing
from image_cloud.request.query import Query
from image_cloud.request.tokens import Client, TokenStore, add, hash_token, revoke
from tests.clock import Clock

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def clock() -> Clock:
    return Clock(1_000_000.0)


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    add(tmp_path / "tokens.json", "boss", ["ops"], "t" * 30)
    return tmp_path / "tokens.json"


def opened(tokens: Path, clock: Clock) -> tuple[Sessions, str]:
    store = TokenStore(tokens, clock)
    sessions = Sessions(tokens.parent / "sessions", store, clock)
    client = store.by_token("t" * 30)
    assert client
    return sessions, sessions.open(client).id


def test_a_session_ends_after_eight_hours(tokens: Path, clock: Clock) -> None:
    sessions, found = opened(tokens, clock)
    clock.now += LIFE_S - 1
    assert sessions.find(found)
    clock.now += 1
    assert sessions.find(found) is None


def test_a_session_ends_with_its_token_though_another_gets_the_name(
    tokens: Path, clock: Clock
) -> None:
    sessions, found = opened(tokens, clock)
    revoke(tokens, "boss")
    clock.now += 30
    assert sessions.find(found) is None
    add(tokens, "boss", ["ops"])
    clock.now += 30
    assert sessions.find(found) is None


@pytest.mark.parametrize("given", ["", "x", "../" * 14 + "x", "A" * 43, "A" * 44])
def test_what_is_no_session_opens_none(tokens: Path, clock: Clock, given: str) -> None:
    assert opened(tokens, clock)[0].find(given) is None


def test_sessions_that_ended_are_removed(tokens: Path, clock: Clock) -> None:
    clock.now = time.time()
    sessions, _ = opened(tokens, clock)
    clock.now += LIFE_S + 60
    client = TokenStore(tokens, clock).by_name("boss")
    assert client
    sessions.open(client)
    assert len(list((tokens.parent / "sessions").glob("*.json"))) == 1


def test_an_address_has_so_many_attempts_and_then_one_at_a_time(clock: Clock) -> None:
    attempts = Attempts(clock)
    for _ in range(MOST):
        assert attempts.wait_s("192.0.2.1") == 0
        attempts.failed("192.0.2.1")
    assert 0 < attempts.wait_s("192.0.2.1") <= EVERY_S
    assert attempts.wait_s("192.0.2.2") == 0
    clock.now += EVERY_S
    assert attempts.wait_s("192.0.2.1") == 0


def test_a_network_of_ipv6_counts_as_one_address(clock: Clock) -> None:
    attempts = Attempts(clock)
    for number in range(MOST):
        attempts.failed(f"2001:db8::{number:x}")
    assert attempts.wait_s("2001:db8::ffff") > 0
    assert attempts.wait_s("2001:db8:0:1::1") == 0


def facts(**more: Any) -> dict[str, Any]:
    told = {"node": "ic00", "version": "1", "at": 1.0, "storage": "ok", "database": "ok", "uptime_s": 90.0,
            "disk": {"bytes": 100, "bytes_free": 50}, "pools": {"front": "ok"}}  # fmt: skip
    return {**told, **more}


def states(own: dict[str, Any], peer: Any = None) -> Any:
    others = [("ic01", "http://ic01:5000", peer)] if peer else []
    return Nodes(("ic00", lambda: own), others).states()


def test_a_node_without_trouble_has_no_problem() -> None:
    found = states(facts())
    assert not problems(found)
    (card,) = cards(found, [])
    assert (card.words, card.version) == ("Works", "1")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"database": "the database does not answer"}, "database: the database does not answer"),
        ({"storage": "the disk is full"}, "the disk is full"),
        ({"pools": {"fetch": "does not answer"}}, "the fetch pool does not answer"),
        ({"prefetch_paused": True}, "prefetch is paused"),
        ({"disk": {"bytes": 1000, "bytes_free": 5}}, "5 bytes of the disk are free"),
        ({"limits": "max_downloads.json is refused, the last good one holds: x"}, "is refused"),
        ({"domains": [{"domain": SCRIPT, "state": "paused"}]}, f"{SCRIPT} is paused"),
        (
            {"feed_held": {"seconds": 90, "changes": 3, "holder": "psql"}},
            "held back for 2 min by psql",
        ),
        ({"lately": {"disk_days_left": 2.5}}, "the disk is full in 2.5 days"),
        (
            {"lately": {"requests_per_s": 20, "errors_5xx_per_s": 0.5}},
            "2% of the last ten minutes' answers are errors",
        ),
    ],
)
def test_trouble_is_told_in_words(more: dict[str, Any], words: str) -> None:
    (found,) = problems(states(facts(**more)))
    assert words in found.text


def test_a_few_errors_and_a_disk_that_lasts_are_no_problem() -> None:
    lately = {"requests_per_s": 100, "errors_5xx_per_s": 0.9, "disk_days_left": 8}
    assert not problems(states(facts(lately=lately)))
    assert not problems(states(facts(lately={"requests_per_s": 0.1, "errors_5xx_per_s": 0.04})))


def test_a_peer_that_does_not_answer_is_the_first_problem() -> None:
    def away() -> dict[str, Any]:
        raise PeerAway("ic01 does not answer: NewConnectionError")

    known = {"name": "ic01", "alive": False, "last_seen": (seen := time.time() - 7200)}
    found = states(facts(peers=[known], prefetch_paused=False, unrecorded=5000), away)
    first, second = problems(found)
    assert (first.node, first.level) == ("ic01", BAD)
    assert first.text == "does not answer: nobody listens at its address (last heard 2 h ago)"
    assert second.node == "ic00"
    assert [card.words for card in cards(found, [first, second])] == [
        "Works, needs a look", "Does not answer",
    ]  # fmt: skip
    assert found[1].last_seen == seen


def test_a_dead_node_was_last_seen_when_the_follower_heard_of_it() -> None:
    def away() -> dict[str, Any]:
        raise PeerAway("ic01 does not answer: NewConnectionError")

    def last_seen(heard: dict[str, float | None]) -> str:
        nodes = Nodes(("ic00", facts), [("ic01", "http://ic01:5000", away)], lambda: heard)
        return cards(nodes.states(), [])[1].figures[0].value

    assert last_seen({"ic01": time.time() - 125}) == "2 min ago"
    assert last_seen({}) == "never"


def test_figures_that_are_not_new_say_how_old_they_are() -> None:
    (state,) = states(facts())
    (card,) = cards([dataclasses.replace(state, age_s=5.2)], [])
    assert card.age == "as of 5 s ago"
    assert cards([state], [])[0].age == ""


def test_a_peer_that_hangs_holds_nobody_up() -> None:
    goes_on = threading.Event()

    def hangs() -> dict[str, Any]:
        goes_on.wait(60)
        return facts(node="ic01")

    nodes = Nodes(("ic00", facts), [("ic01", "http://ic01:5000", hangs)])
    own, peer = nodes.states()  # while ic01 hangs
    assert own.status
    assert (peer.status, peer.error) == (None, "")
    assert not problems([own, peer])
    assert [card.words for card in cards([own, peer], [])] == ["Works", "Asked, no answer yet"]
    assert eventually(lambda: nodes.states()[1].error) == "no answer in time"
    assert cards(nodes.states(), [])[1].words == "Does not answer"
    goes_on.set()
    assert eventually(lambda: nodes.states()[1].status)


def eventually(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 30
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return value


@pytest.mark.parametrize("told", [{}, {"node": 1}, facts(disk=[]), facts(pools={"a": {}})])
def test_a_peer_that_talks_nonsense_does_not_answer(told: dict[str, Any]) -> None:
    found = states(facts(), lambda: told)
    assert "malformed" in problems(found)[0].text


def history(**columns: list[float | None]) -> dict[str, Any]:
    length = len(next(iter(columns.values())))
    rows = [[60.0 * n, *(columns[name][n] for name in columns)] for n in range(length)]
    return {"step": 60, "at": 1.0, "columns": ["time", *columns], "rows": rows}


def test_a_chart_has_a_sentence_and_a_table_of_the_same_values() -> None:
    charts = drawn(history(requests_per_s=[1.0, 3.0, None], hit_share=[0.5, None, None]))
    requests, hits, errors, _ = charts
    assert requests.summary == "now 3.0, at most 3.0 a second"
    assert [values for _, values in requests.rows] == [["3.0"], ["1.0"]]
    assert hits.summary == "now 50.0, at most 50.0 %"
    assert (errors.summary, errors.rows) == ("nothing yet", [])


def test_a_long_window_has_a_short_table() -> None:
    requests = drawn(history(requests_per_s=[2.0] * 360))[0]
    assert len(requests.rows) == 24


def test_charts_are_sent_what_they_draw_and_nothing_else() -> None:
    sent = picked(history(requests_per_s=[1.0], bytes_per_s=[9.0]))
    assert sent["columns"]["requests_per_s"] == [1.0]
    assert sent["columns"]["p50_s"] == [None]
    assert "bytes_per_s" not in sent["columns"]


URL = "http://shop.example/a'b\"c<d>&e=$(id)`x`\\.jpg"
READER = Client("boss", hash_token("t" * 30), ("ops", "read"), 0)


def tried(query: dict[str, str], path: str = "/get_image", client: Client = READER) -> Any:
    from urllib.parse import urlencode

    playground = Playground(Resize(), ("jpeg", "png"), lambda: 1000.0)
    return playground.tried(path, Query(urlencode(query)), client, "http://node:5000")


@pytest.mark.parametrize(
    ("path", "some"),
    [
        ("/get_image", {"url", "quality", "enlarge"}),
        ("/get_thumbnail", {"url", "size"}),
        ("/image_info", {"url", "max_age"}),
    ],
)
def test_the_playground_has_every_parameter_of_the_table(path: str, some: set[str]) -> None:
    assert {field.name for field in tried({}, path).fields} >= some
    assert not [field for field in tried({}, path).fields if "](" in field.meaning]


def test_the_playgrounds_addresses_are_signed(tokens: Path) -> None:
    found = tried({"url": "http://shop.example/a.jpg", "resize_width": "10"})
    for address in (found.result, found.original):
        parts = urlsplit(address)
        assert signing.verify(parts.path, Query(parts.query), TokenStore(tokens), 1000.0)


def test_the_playground_shows_json_as_json(tokens: Path) -> None:
    found = tried({"url": "http://shop.example/a.jpg", "max_age": "60"}, "/image_info")
    parts = urlsplit(found.result)
    assert (found.is_picture, parts.path) == (False, "/image_info")
    assert signing.verify(parts.path, Query(parts.query), TokenStore(tokens), 1000.0)
    code = {one.title: one.code for one in found.snippets}
    assert "-o" not in code["curl"]
    assert code["Python"].endswith("info = answer.json()")
    assert code["PHP"].endswith("false, $context), true);")
    assert code["JavaScript"].endswith("await answer.json();")
    assert len(code) == 5


def test_what_is_wrong_with_a_parameter_is_said() -> None:
    assert "resize_width" in tried({"url": "http://s.example/a", "resize_width": "x"}).problem
    assert "lacks the scope read" in tried(
        {"url": "http://s.example/a"}, client=Client("a", "", ("ops",), 0)
    ).problem  # fmt: skip


def test_an_odd_url_stays_itself_in_every_language() -> None:
    url = "http://shop.example/a'b%22c%3Cd%3E&e=$(id)`x`.jpg"
    found = {one.title: one.code for one in tried({"url": url, "resize_width": "300"}).snippets}
    assert len(found) == 6
    for title, code in found.items():
        address = re.search(r"http://node:5000/get_image\?[^'\" ]+", code)
        assert address, title
        text = html.unescape(address[0]) if "img" in title else address[0]
        assert dict(parse_qsl(urlsplit(text).query))["url"] == url, title


def test_pictures_for_sharper_screens_are_larger() -> None:
    code = tried({"url": "http://s.example/a", "resize_width": "300"}).snippets[-1].code
    assert "resize_width=600" in code
    assert code.count("signature=") == 3
    code = tried({"url": "http://s.example/a"}, "/get_thumbnail").snippets[-1].code
    assert [f"{size}w" in code for size in Resize().thumbnail_sizes] == [True] * 5


def test_json_of_charts_is_json() -> None:
    assert json.loads(json.dumps(picked(history(requests_per_s=[1.0]))))
