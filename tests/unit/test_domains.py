"""Which domains are paused: the origin's own wish, and the circuit breaker."""

import os
from pathlib import Path

import pytest

from image_cloud.config.sections import Politeness
from image_cloud.errors import (
    ImageCloudError,
    NotAnImage,
    OriginNotFound,
    OriginPaused,
    OriginProtocol,
    OriginReset,
    OriginStatus,
    OriginTimeout,
    StorageUnavailable,
)
from image_cloud.politeness.breaker import FORGET_AFTER_S, FORGOTTEN_AFTER_S, Domains
from tests.clock import Clock

SETTINGS = Politeness(failures=3, first_pause=10, longest_pause=25, jitter=0)
A, B = "a.example", "b.example"


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def domains(tmp_path: Path, clock: Clock) -> Domains:
    (tmp_path / "domains").mkdir()
    return Domains(tmp_path / "domains", tmp_path / "locks", SETTINGS, clock)


def fail(domains: Domains, times: int, error: ImageCloudError | None = None) -> None:
    for _ in range(times):
        domains.failed(A, error or OriginReset())


def refused_for(domains: Domains, domain: str = A, *, urgent: bool = False) -> float:
    with pytest.raises(OriginPaused) as caught:
        domains.admit(domain, urgent=urgent)
    assert caught.value.retry_after_s
    return caught.value.retry_after_s


def state(domains: Domains, clock: Clock) -> str:
    trouble = domains.trouble(A)
    return trouble.state(clock.now) if trouble else "healthy"


def test_an_origin_that_asks_for_time_gets_it(domains: Domains, clock: Clock) -> None:
    domains.failed(A, OriginStatus("slow down", upstream_status=429, retry_after_s=60))
    assert refused_for(domains) == 60
    assert domains.admit(B) is None
    domains.succeeded(A)  # a download that was under way already
    domains.failed(A, OriginStatus(upstream_status=503, retry_after_s=5))
    clock.now += 59
    assert refused_for(domains) == 1
    clock.now += 1
    assert domains.admit(A) is None
    domains.succeeded(A)
    assert state(domains, clock) == "healthy"


def test_the_breaker_opens_probes_and_closes(domains: Domains, clock: Clock) -> None:
    fail(domains, 2)
    assert domains.admit(A) is None
    fail(domains, 1)
    assert refused_for(domains) == 10
    clock.now += 10
    assert state(domains, clock) == "half-open"
    probe = domains.admit(A)
    assert probe
    refused_for(domains)  # one at a time
    fail(domains, 1)
    probe.close()
    assert refused_for(domains) == 20  # longer
    clock.now += 20
    probe = domains.admit(A)
    assert probe
    domains.succeeded(A)
    probe.close()
    assert state(domains, clock) == "healthy"


def test_pauses_have_a_longest(domains: Domains, clock: Clock) -> None:
    fail(domains, 3)
    for _ in range(5):
        clock.now += 25
        fail(domains, 1)
    assert refused_for(domains) == 25


def test_a_probe_that_is_killed_frees_the_place(domains: Domains, clock: Clock) -> None:
    fail(domains, 3)
    clock.now += 10
    child = os.fork()
    if child == 0:
        os._exit(0 if domains.admit(A) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert domains.admit(A)


def test_failures_that_come_late_do_not_prolong_an_open_breaker(
    domains: Domains, clock: Clock
) -> None:
    fail(domains, 10)
    assert refused_for(domains) == 10


@pytest.mark.parametrize(
    "error", [OriginNotFound(), NotAnImage(), OriginProtocol(), OriginStatus(upstream_status=403)]
)
def test_an_answer_of_any_kind_ends_the_row(
    error: ImageCloudError, domains: Domains, clock: Clock
) -> None:
    fail(domains, 2)
    domains.failed(A, error)
    fail(domains, 2)
    assert domains.admit(A) is None
    assert state(domains, clock) == "failing"


@pytest.mark.parametrize(
    "error", [OriginTimeout(), OriginStatus(upstream_status=500), OriginStatus(upstream_status=429)]
)
def test_what_counts(error: ImageCloudError, domains: Domains, clock: Clock) -> None:
    fail(domains, 3, error)
    assert state(domains, clock) == "broken"


def test_what_is_not_the_origins_fault_does_not_count(domains: Domains, clock: Clock) -> None:
    fail(domains, 9, StorageUnavailable())
    assert state(domains, clock) == "healthy"


def test_what_is_long_over_is_removed(domains: Domains, clock: Clock) -> None:
    fail(domains, 1)
    domains.expire()
    assert [trouble.domain for trouble in domains.troubles()] == [A]
    clock.now += FORGET_AFTER_S + 1
    domains.expire()
    assert not list(domains.troubles())


# --- Retry-After has an end -----------------------------------------------------------------------


def asked_to_wait(domains: Domains, seconds: float, status: int = 429) -> None:
    domains.failed(A, OriginStatus(upstream_status=status, retry_after_s=seconds))


@pytest.mark.parametrize("status", [429, 503])
def test_no_origin_pauses_for_longer_than_the_settings_say(
    status: int, domains: Domains, clock: Clock
) -> None:
    asked_to_wait(domains, 86400, status)
    assert refused_for(domains) == 3600
    assert refused_for(domains, urgent=True) == 300
    clock.now += 300
    assert domains.admit(A, urgent=True) is None
    assert refused_for(domains) == 3300


def test_a_users_success_leaves_the_pause_that_the_origin_asked_for(
    domains: Domains, clock: Clock
) -> None:
    asked_to_wait(domains, 86400)
    clock.now += 300
    domains.succeeded(A)
    assert refused_for(domains) == 3300
    clock.now += 3300
    assert domains.admit(A) is None


def test_a_breaker_that_opens_does_not_shorten_such_a_pause(domains: Domains, clock: Clock) -> None:
    asked_to_wait(domains, 3600)
    clock.now += 300
    fail(domains, 3)
    assert refused_for(domains) == 3300
    assert refused_for(domains, urgent=True) == 10


# --- for how long it has been dead ----------------------------------------------------------------


def is_dead(domains: Domains, clock: Clock, after_s: float) -> bool:
    trouble = domains.trouble(A)
    return trouble is not None and trouble.is_dead(after_s, clock.now)


def test_a_domain_without_any_answer_is_dead_after_a_while(domains: Domains, clock: Clock) -> None:
    fail(domains, 3)
    while clock.now < 1100:
        assert not is_dead(domains, clock, 100)
        clock.now += 25
        fail(domains, 1)
    assert is_dead(domains, clock, 100)
    clock.now += 25
    assert not is_dead(domains, clock, 100), "it is to be tried now"


def test_a_pause_that_the_origin_asks_for_counts_as_well(domains: Domains, clock: Clock) -> None:
    asked_to_wait(domains, 60)
    clock.now += 60
    asked_to_wait(domains, 60)
    assert not is_dead(domains, clock, 100)
    clock.now += 40
    assert is_dead(domains, clock, 100)


def test_an_answer_makes_it_alive(domains: Domains, clock: Clock) -> None:
    asked_to_wait(domains, 60)
    clock.now += 50
    domains.succeeded(A)
    asked_to_wait(domains, 60)
    clock.now += 55
    assert not is_dead(domains, clock, 100)


def test_what_failed_long_ago_is_no_proof(domains: Domains, clock: Clock) -> None:
    fail(domains, 1)
    clock.now += FORGOTTEN_AFTER_S + 1
    fail(domains, 3)
    assert not is_dead(domains, clock, 100)


# --- an operator lifts a pause --------------------------------------------------------------------


def test_a_pause_can_be_lifted(domains: Domains, clock: Clock) -> None:
    asked_to_wait(domains, 60)
    assert domains.resume(A)
    assert domains.admit(A) is None
    assert not domains.resume(A)
    fail(domains, 9)
    assert domains.resume(A)
    assert state(domains, clock) == "healthy"
