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
from image_cloud.politeness.breaker import FORGET_AFTER_S, Domains

SETTINGS = Politeness(failures=3, first_pause=10, longest_pause=25, jitter=0)
A, B = "a.example", "b.example"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def domains(tmp_path: Path, clock: Clock) -> Domains:
    (tmp_path / "domains").mkdir()
    return Domains(tmp_path / "domains", tmp_path / "locks", SETTINGS, clock)


def fail(domains: Domains, times: int, error: ImageCloudError | None = None) -> None:
    for _ in range(times):
        domains.failed(A, error or OriginReset())


def refused_for(domains: Domains, domain: str = A) -> float:
    with pytest.raises(OriginPaused) as caught:
        domains.admit(domain)
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
