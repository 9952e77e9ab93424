"""The failure memory: how long it lasts, and that whatever else lies there costs nothing else."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from image_cloud import errors
from image_cloud.config.sections import Failures as Settings
from image_cloud.picture.key import fan_out, key_of
from image_cloud.storage.failures import LEFT_OVER_AGE_S, RESIZE, Failures
from tests.clock import Clock

KEY = key_of("http://shop.example/a.jpg")
SETTINGS = Settings()
DEADLINE_S = 60.0


def even(low: float, high: float) -> float:
    return 1.0


def test_failures_are_remembered_longer_each_time(tmp_path: Path) -> None:
    clock = Clock(1000.0)
    memory = Failures(tmp_path, SETTINGS, clock, even)
    seen = []
    for _ in range(7):
        error = errors.OriginStatus("said 500", upstream_status=500)
        memory.remember(KEY, error)
        recalled = memory.recall(KEY)
        assert isinstance(recalled, errors.OriginStatus)
        assert (recalled.upstream_status, recalled.detail) == (500, "said 500")
        seen.append(recalled.retry_after_s)
        clock.now += (recalled.retry_after_s or 0) + 0.1
        assert memory.recall(KEY) is None
    assert seen == [30, 60, 120, 240, 480, 600, 600]


def test_not_found_is_remembered_for_an_hour_and_success_forgets(tmp_path: Path) -> None:
    memory = Failures(tmp_path, SETTINGS, Clock(1000.0), even)
    memory.remember(KEY, errors.OriginNotFound())
    recalled = memory.recall(KEY)
    assert recalled
    assert recalled.retry_after_s == 3600
    assert memory.recall(KEY, RESIZE) is None
    memory.forget(KEY)
    assert memory.recall(KEY) is None


def test_an_origins_retry_after_is_told_up_to_a_limit(tmp_path: Path) -> None:
    """The domain's pause obeys it; when that is lifted, the URL may be tried soon."""
    clock = Clock(1000.0)
    memory = Failures(tmp_path, SETTINGS, clock, even, longest_wait_s=300)
    for asked_s, told_s in (60, 60), (86400, 300):
        error = errors.OriginStatus("429", upstream_status=429, retry_after_s=asked_s)
        memory.remember(KEY, error)
        recalled = memory.recall(KEY)
        assert recalled
        assert error.retry_after_s == recalled.retry_after_s == told_s
        clock.now += error.remembered_s + 0.1
        assert memory.recall(KEY) is None
    assert error.remembered_s == 60


def test_what_is_our_own_fault_is_not_remembered(tmp_path: Path) -> None:
    memory = Failures(tmp_path, SETTINGS, Clock(1000.0), even)
    for error in (errors.Busy(), errors.ScopeMissing(), errors.StorageUnavailable()):
        memory.remember(KEY, error)
    assert memory.recall(KEY) is None


def test_a_memory_is_nobody_elses(tmp_path: Path) -> None:
    memory = Failures(tmp_path, SETTINGS, Clock(1000.0), even)
    memory.remember(KEY, errors.OriginReset())
    (path,) = tmp_path.rglob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_memories_without_meaning_expire(tmp_path: Path) -> None:
    clock = Clock(1000.0)
    memory = Failures(tmp_path, SETTINGS, clock, even)
    memory.remember(KEY, errors.OriginReset())
    (path,) = tmp_path.rglob("*.json")
    memory.expire()
    assert path.exists()
    clock.now += 10_000
    memory.expire()
    assert not path.exists()


# --- what may stand there instead ---

GOOD = {"until": 1500.0, "count": 1, "code": "origin_reset", "detail": "x", "upstream_status": None}


def content(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


def folder(path: Path) -> None:
    (path / "deeper").mkdir(parents=True)


HOSTILE: list[Callable[[Path], object]] = [
    *(content(json.dumps(forged)) for forged in (
        None, 3, [], [1], {}, {"until": 1}, {**GOOD, "until": "1500"}, {**GOOD, "until": None},
        {**GOOD, "until": 1e300}, {**GOOD, "until": 1000.0 + 86401}, {**GOOD, "until": float("inf")},
        {**GOOD, "until": float("nan")}, {**GOOD, "code": ["origin_reset"]}, {**GOOD, "code": "blocked"},
        {**GOOD, "code": "token_missing"}, {**GOOD, "code": "internal"}, {**GOOD, "code": "unheard_of"},
        {**GOOD, "detail": {"a": 1}}, {**GOOD, "detail": "\ud800"}, {**GOOD, "upstream_status": "404"},
        {**GOOD, "count": "many"}, {**GOOD, "detail": "x" * 100_000},
    )),
    content("{"), content(""), content("[" * 100_000),
    folder, os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.symlink_to(path),
    lambda path: os.truncate(os.open(path, os.O_RDWR | os.O_CREAT), 1 << 40),
]  # fmt: skip


@pytest.mark.parametrize("plant", HOSTILE)
def test_a_forged_memory_is_none(tmp_path: Path, plant: Callable[[Path], object]) -> None:
    path = tmp_path / "failures" / fan_out(KEY) / f"{KEY}.fetch.json"
    path.parent.mkdir(parents=True)
    plant(path)
    memory = Failures(tmp_path, SETTINGS, Clock(1000.0), even)
    done: list[Any] = []

    def use() -> None:
        done.append(memory.recall(KEY))
        memory.remember(KEY, errors.OriginReset())
        memory.forget(KEY)
        memory.expire()
        done.append("ended")

    user = threading.Thread(target=use, daemon=True)
    user.start()
    user.join(DEADLINE_S)
    assert done == [None, "ended"]
    assert path.is_dir() or not os.path.lexists(path)


def test_the_good_one_that_the_forged_were_made_of_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "failures" / fan_out(KEY) / f"{KEY}.fetch.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(GOOD))
    assert isinstance(Failures(tmp_path, SETTINGS, Clock(1000.0)).recall(KEY), errors.OriginReset)


@pytest.mark.parametrize("depth", [0, 1])
def test_no_link_leads_the_expiry_elsewhere(tmp_path: Path, depth: int) -> None:
    records = tmp_path / "records" / "ab" / "cd"
    records.mkdir(parents=True)
    (records / "precious.json").write_text("{}")
    first = tmp_path / "failures" / "ab"
    if depth:
        first.mkdir(parents=True)
        (first / "cd").symlink_to(records)
    else:
        first.parent.mkdir()
        first.symlink_to(records.parent)
    Failures(tmp_path, SETTINGS, Clock(1000.0), even).expire()
    assert (records / "precious.json").exists()


def test_what_else_lies_between_the_memories_goes_when_it_is_old(tmp_path: Path) -> None:
    clock = Clock(1000.0)
    place = tmp_path / "failures" / "ab" / "cd"
    place.mkdir(parents=True)
    for name in (".x.fetch.json.0123456789abcdef.new", "junk"):
        (place / name).write_text("x")
        os.utime(place / name, (clock.now, clock.now))
    memory = Failures(tmp_path, SETTINGS, clock, even)
    memory.expire()
    assert len(list(place.iterdir())) == 2
    clock.now += LEFT_OVER_AGE_S + 1
    memory.expire()
    assert list(place.iterdir()) == []
