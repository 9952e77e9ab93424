"""GET /domains and POST /domains/resume: what operators see of pauses, and how they lift one."""

from __future__ import annotations

import json
from pathlib import Path

import falcon.testing
import pytest

from falcon_app.front.domains import PausedDomains, ResumeDomain
from image_cloud.cli.domains import line
from image_cloud.config.sections import Politeness
from image_cloud.errors import OriginReset, OriginStatus, OriginTimeout
from image_cloud.politeness.breaker import Domains
from image_cloud.politeness.crowd import Crowd
from image_cloud.politeness.gate import Gate
from image_cloud.politeness.limits import LimitsFile
from image_cloud.politeness.overview import Overview
from image_cloud.politeness.slots import Slots
from tests.unit.web import client

NOW = 1_000_000_000.0
LIMITS = {"default": 8, "shop.example": 3}


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    (tmp_path / "domains").mkdir()
    (tmp_path / "limits.json").write_text(json.dumps(LIMITS))
    settings = Politeness(failures=2, first_pause=30, jitter=0)
    domains = Domains(tmp_path / "domains", tmp_path / "locks", settings, lambda: NOW)
    limits = LimitsFile(tmp_path / "limits.json", tmp_path / "last_good")
    return Gate(limits, Slots(tmp_path / "locks"), domains, Crowd(9, 9), 1.0, lambda *_, **__: None)


@pytest.fixture
def web(gate: Gate) -> falcon.testing.TestClient:
    overview = Overview(gate, lambda: NOW)
    routes = {"/domains": PausedDomains(overview), "/domains/resume": ResumeDomain(overview)}
    return client(routes, ("ops",))


def test_troubled_domains_are_listed_with_all_that_matters(
    gate: Gate, web: falcon.testing.TestClient
) -> None:
    domain = gate.limits.current().domain_named("shop.example/8080")
    slots = [gate.slots.try_one(domain) for _ in range(2)]
    assert all(slots)
    asked = OriginStatus("the origin answered 429", upstream_status=429, retry_after_s=86400)
    gate.domains.failed("shop.example/8080", asked)
    for _ in range(2):
        gate.domains.failed("b.example", OriginReset("gone"))
    gate.domains.failed("c.example", OriginTimeout("slow"))
    answer = web.simulate_get("/domains")
    assert answer.headers["Cache-Control"] == "no-store"
    paused, broken, failing = answer.json["domains"]
    assert paused == {
        "domain": "shop.example/8080",
        "state": "paused",
        "since": "2001-09-09T01:46:40+00:00",
        "next_try": "2001-09-09T02:46:40+00:00",
        "next_try_interactive": "2001-09-09T01:51:40+00:00",
        "why": {
            "code": "origin_status", "detail": "the origin answered 429", "upstream_status": 429,
        },
        "failures": 0,
        "last_failure": "2001-09-09T01:46:40+00:00",
        "slots": {"used": 2, "allowed": 3},
    }  # fmt: skip
    assert (broken["domain"], broken["state"], broken["failures"]) == ("b.example", "broken", 2)
    assert broken["next_try"] == broken["next_try_interactive"] == "2001-09-09T01:47:10+00:00"
    assert (failing["state"], failing["next_try"]) == ("failing", None)
    assert failing["slots"] == {"used": 0, "allowed": 8}
    for told in (paused, broken, failing):
        assert line(told).startswith(f"{told['domain']}: {told['state']} since 2001-")


def test_one_domain_can_be_asked_for(gate: Gate, web: falcon.testing.TestClient) -> None:
    slot = gate.slots.try_one(gate.limits.current().domain_named("shop.example"))
    assert slot
    (told,) = web.simulate_get("/domains", query_string="domain=IMG.Shop.Example").json["domains"]
    healthy = {"domain": "shop.example", "state": "healthy", "slots": {"used": 1, "allowed": 3}}
    assert told == healthy


@pytest.mark.parametrize("name", ["shop.example", "img.SHOP.example", " shop.example "])
def test_a_pause_is_lifted_by_any_name_that_it_covers(
    name: str, gate: Gate, web: falcon.testing.TestClient
) -> None:
    for _ in range(2):
        gate.domains.failed("shop.example", OriginReset("gone"))
    for resumed in (True, False):
        answer = web.simulate_post("/domains/resume", params={"domain": name})
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
        assert answer.json == {"domain": "shop.example", "resumed": resumed}
    assert gate.domains.admit("shop.example") is None


@pytest.mark.parametrize(
    "query",
    ["", "domain=", "domain=a&domain=b", "domain=http://a/", "domain=a/0", "domain=a/99999", "domain=a:80",
     "domain=%ff", "domain=a/%D9%A3", "domain=a/8" + "0" * 5000],
)  # fmt: skip
def test_what_is_no_domain_is_refused(query: str, web: falcon.testing.TestClient) -> None:
    answer = web.simulate_post("/domains/resume", query_string=query)
    assert (answer.status_code, answer.json["code"]) == (400, "bad_parameter")
    assert "domain" in answer.json["detail"]


def test_who_works_off_a_slot_is_counted_once(gate: Gate) -> None:
    domain = gate.limits.current().domain_named("a.example")
    slots = [gate.slots.try_one(domain) for _ in range(8)]
    assert gate.slots.used(domain) == 8
    for slot in slots[1:7:2]:
        assert slot
        slot.give_back()
    assert gate.slots.used(domain) == 5
