"""Shops that hang hold up their own visitors and nobody else."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SETTINGS
from tests.frontdoor.asking import Asking
from tests.frontdoor.client import eventually, get, jpeg, problem
from tests.origin import Gate, Origin, answer
from tests.stack.running import Stack

VISITORS, FOLLOWERS, SLOTS, POLLS = 300, 40, 8, 40
WAITING = 6
PATIENT = "download.read_timeout=80 s;download.total_timeout=80 s;politeness.slot_wait=80 s"


@pytest.fixture(scope="module")
def patient() -> Iterator[Stack]:
    """A stack that waits for a shop longer than the tests do."""
    with (
        tempfile.TemporaryDirectory(prefix="image-cloud-") as folder,
        Stack(Path(folder) / "home", settings=f"{SETTINGS};{PATIENT}") as running,
    ):
        yield running


@pytest.fixture
def hung() -> Iterator[tuple[Origin, Gate]]:
    """A shop that takes every request and answers none before the gate opens."""
    gate = Gate(answer(404))
    with Origin(address="127.0.0.2") as origin:
        yield origin, gate
        gate.open()


def test_a_hanging_shop_holds_up_its_own_visitors_alone(
    patient: Stack, origin: Origin, hung: tuple[Origin, Gate]
) -> None:
    shop, gate = hung
    hit = origin.serve("/hit.jpg", jpeg(seed=1))
    assert get(patient, "/get_thumbnail", url=hit).status_code == 200
    urls = [shop.behave(f"/{number}.jpg", gate) for number in range(VISITORS)]
    asking = Asking(patient, "/get_image", [*urls, *[urls[0]] * FOLLOWERS])
    eventually(lambda: asking.all_sent() and shop.parallel == SLOTS, "the shop hangs")
    for number in range(10):
        url = origin.serve(f"/miss{number}.jpg", jpeg(seed=2 + number))
        assert get(patient, "/get_image", url=url).headers["X-Cache"] == "MISS"
        assert get(patient, "/get_thumbnail", url=url).status_code == 200
        assert get(patient, "/get_thumbnail", url=hit).headers["X-Cache"] == "HIT"
        assert get(patient, "/delete_image", "DELETE", url=url).json()["deleted"]
        assert get(patient, "/changes", cursor="", wait="0").json()["changes"]
        assert get(patient, "/fire_and_forget", "POST", json={"urls": [hit]}).status_code == 202
    assert not asking.answers, "the hanging shop's visitors wait"
    assert shop.most_parallel == SLOTS
    gate.open()
    assert asking.statuses() == [404] * (VISITORS + FOLLOWERS), "and none of them was refused"
    assert shop.most_parallel == SLOTS


def test_long_polls_hold_up_no_delete_and_hear_of_it(patient: Stack, origin: Origin) -> None:
    url = origin.serve("/polled.jpg", jpeg(seed=30))
    assert get(patient, "/get_image", url=url).status_code == 200
    page = eventually(lambda: _page_with(patient, url), "it stands in the feed")
    polls = Asking(patient, "/changes", [""] * POLLS, cursor=page["cursor"], wait="60")
    eventually(polls.all_sent, "they wait")
    assert get(patient, "/delete_image", "DELETE", url=url).json()["deleted"]
    assert polls.statuses() == [200] * POLLS
    assert all(one.json()["changes"][0]["deleted_at"] for one in polls.answers)


def _page_with(stack: Stack, url: str) -> Any:
    """Return the feed's page, None while `url` does not stand in it."""
    page = get(stack, "/changes", cursor="", wait="0").json()
    return page if any(one["url"] == url for one in page["changes"]) else None


@pytest.fixture(scope="module")
def narrow() -> Iterator[Stack]:
    """A stack with few places for each domain."""
    few = f"politeness.waiting={WAITING};pools.fetch_workers=1"
    with (
        tempfile.TemporaryDirectory(prefix="image-cloud-") as folder,
        Stack(Path(folder) / "home", settings=f"{SETTINGS};{PATIENT};{few}") as running,
    ):
        yield running


def test_a_crowded_domain_refuses_at_once_and_no_other_does(
    narrow: Stack, origin: Origin, hung: tuple[Origin, Gate]
) -> None:
    shop, gate = hung
    urls = [shop.behave(f"/crowd{number}.jpg", gate) for number in range(WAITING + 3)]
    asking = Asking(narrow, "/get_image", urls)
    eventually(lambda: len(asking.answers) == 3, "three are too many")
    for refused in list(asking.answers):
        assert "127.0.0.2" in problem(refused, 503, "busy")["detail"]
        assert refused.headers["Retry-After"]
    url = origin.serve("/other.jpg", jpeg(seed=40))
    assert get(narrow, "/get_image", url=url).status_code == 200
    assert len(asking.answers) == 3, "the others wait"
    gate.open()
    assert sorted(asking.statuses()) == [404] * WAITING + [503] * 3
