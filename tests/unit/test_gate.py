"""The way through to an origin."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from image_cloud.config.sections import Politeness
from image_cloud.errors import (
    ImageCloudError,
    NotAnImage,
    OriginNotFound,
    OriginPaused,
    OriginStatus,
    OriginTimeout,
    StorageUnavailable,
)
from image_cloud.picture.url import Url
from image_cloud.politeness.breaker import Domains
from image_cloud.politeness.crowd import Crowd
from image_cloud.politeness.gate import Gate
from image_cloud.politeness.limits import LimitsFile
from image_cloud.politeness.slots import Slots

URL = Url.parse("http://a.example/a.jpg")
DEADLINE_S = 60.0


class Counted:
    """Keeps what the gate counts."""

    def __init__(self) -> None:
        self.visits: list[tuple[str, bool]] = []

    def __call__(self, domain: str, latency_s: float, *, failed: bool) -> None:
        assert 0 <= latency_s < DEADLINE_S
        self.visits.append((domain, failed))


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def gate(tmp_path: Path, counted: Counted) -> Gate:
    (tmp_path / "domains").mkdir()
    (tmp_path / "limits.json").write_text('{"default": 1}')
    limits = LimitsFile(tmp_path / "limits.json", tmp_path / "last_good")
    domains = Domains(tmp_path / "domains", tmp_path / "slots", Politeness())
    return Gate(limits, Slots(tmp_path / "slots"), domains, Crowd(10, 10), DEADLINE_S, counted)


def test_each_domain_of_a_download_is_counted(gate: Gate, counted: Counted) -> None:
    with gate.visit(urgent=True) as visit:
        visit.enter(URL)
        visit.enter(Url.parse("http://a.example/again.jpg"))
        visit.enter(Url.parse("http://b.example/b.jpg"))
    assert counted.visits == [("a.example", False), ("b.example", False)]


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        (OriginStatus("no", upstream_status=500), True), (OriginTimeout("slow"), True),
        (NotAnImage("a page"), True), (OriginNotFound("gone"), False), (StorageUnavailable("full"), False),
    ],
)  # fmt: skip
def test_only_an_origins_own_failures_count_as_such(
    gate: Gate, counted: Counted, error: ImageCloudError, failed: bool
) -> None:
    with pytest.raises(ImageCloudError), gate.visit(urgent=True) as visit:
        visit.enter(URL)
        raise error
    assert counted.visits == [("a.example", failed)]


def test_who_waited_while_the_domain_was_paused_does_not_ask_it(gate: Gate) -> None:
    paused: list[OriginPaused] = []

    def wait() -> None:
        with pytest.raises(OriginPaused) as caught, gate.visit(urgent=True) as visit:
            visit.enter(URL)
        paused.append(caught.value)

    domain = gate.limits.current().domain_of(URL)
    too_many = OriginStatus("no", upstream_status=429, retry_after_s=60.0)
    waiting = [threading.Thread(target=wait) for _ in range(5)]
    with pytest.raises(OriginStatus), gate.visit(urgent=True) as visit:
        visit.enter(URL)
        for thread in waiting:
            thread.start()
        deadline = time.monotonic() + DEADLINE_S
        while gate.slots.waiting(domain) < len(waiting):
            assert time.monotonic() < deadline
        raise too_many
    for thread in waiting:
        thread.join(DEADLINE_S)
    assert len(paused) == len(waiting)
    assert all(one.retry_after_s for one in paused)
    assert gate.slots.try_one(domain)
