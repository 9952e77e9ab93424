"""The way through to an origin."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from image_cloud.config.sections import Politeness
from image_cloud.errors import OriginPaused, OriginStatus
from image_cloud.picture.url import Url
from image_cloud.politeness.breaker import Domains
from image_cloud.politeness.crowd import Crowd
from image_cloud.politeness.gate import Gate
from image_cloud.politeness.limits import LimitsFile
from image_cloud.politeness.slots import Slots

URL = Url.parse("http://a.example/a.jpg")
DEADLINE_S = 20.0


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    (tmp_path / "domains").mkdir()
    (tmp_path / "limits.json").write_text('{"default": 1}')
    limits = LimitsFile(tmp_path / "limits.json", tmp_path / "last_good")
    domains = Domains(tmp_path / "domains", tmp_path / "slots", Politeness())
    return Gate(limits, Slots(tmp_path / "slots"), domains, Crowd(10, 10), DEADLINE_S)


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
