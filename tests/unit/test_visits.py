"""How long downloads from each domain took: counted by processes, read by others."""

from __future__ import annotations

import os
import time
from pathlib import Path

from image_cloud.history.visits import MOST_DOMAINS, SLICE_S, SLICES, Visits, read, slowest
from tests.clock import Clock

DEADLINE_S, START_S = 60.0, 6_000_000.0


def until_written(folder: Path, domain: str, count: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while (tally := read(folder, START_S).get(domain)) is None or tally.visits() < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_processes_counted_is_added_up(tmp_path: Path) -> None:
    visits = Visits(tmp_path / "visits", Clock(START_S))
    for latency_s in (0.1, 0.1, 0.1, 7.0):
        visits.count("a.example", latency_s, failed=latency_s > 1)
    visits.count("b.example", 0.02, failed=False)
    until_written(tmp_path / "visits", "b.example", 1)
    own = tmp_path / "visits" / f"{os.getpid()}.json"
    (tmp_path / "visits" / "1.json").write_bytes(own.read_bytes())
    slow, quick = slowest(tmp_path / "visits", START_S, 10)
    assert (slow["domain"], slow["visits"], slow["errors"]) == ("a.example", 8, 2)
    assert slow["p50_s"] <= 0.1
    assert 5.0 < slow["p95_s"] <= 7.0
    assert (quick["domain"], quick["visits"], quick["errors"]) == ("b.example", 2, 0)
    assert [one["domain"] for one in slowest(tmp_path / "visits", START_S, 1)] == ["a.example"]


def test_an_hour_is_kept_of_so_many_domains(tmp_path: Path) -> None:
    clock = Clock(START_S)
    visits = Visits(tmp_path / "visits", clock)
    for number in range(MOST_DOMAINS + 10):
        visits.count(f"{number}.example", 0.1, failed=False)
        visits.count("busy.example", 0.1, failed=False)
    until_written(tmp_path / "visits", "busy.example", MOST_DOMAINS + 10)
    found = read(tmp_path / "visits", clock.now)
    assert len(found) == MOST_DOMAINS
    assert "0.example" not in found
    assert not read(tmp_path / "visits", clock.now + (SLICES + 1) * SLICE_S)


def test_files_of_long_ago_are_removed_and_odd_ones_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "visits"
    assert read(folder, START_S) == {}
    folder.mkdir()
    (folder / "1.json").write_text("{}")
    os.utime(folder / "1.json", (0, 0))
    odd = '{"slices": [{"start": 6000000.0, "domains": {"a": {"errors": 1, "buckets": {"x": 1, "999": 2}}}}]}'
    (folder / "2.json").write_text(odd)
    os.utime(folder / "2.json", (START_S, START_S))
    (folder / "3.json").write_text("[")
    (folder / "4.json").symlink_to("/dev/zero")
    (only,) = slowest(folder, START_S, 10)
    assert (only["domain"], only["p95_s"]) == ("a", None)
    Visits(folder, Clock(START_S)).count("b", 0.1, failed=False)
    assert not (folder / "1.json").exists()
    assert (folder / "2.json").exists()
