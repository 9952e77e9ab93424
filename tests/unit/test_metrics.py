"""Counting in many processes, and what a scrape makes of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from image_cloud.metrics import exposition
from image_cloud.metrics.process_files import ProcessFiles
from image_cloud.metrics.requests import Answered, result_of
from image_cloud.metrics.series import Counter, Definition, State
from tests.counting import EVENTS, LEVEL, SECONDS

ALL = (EVENTS, SECONDS, LEVEL)
DEFINITIONS = """
from tests.counting import EVENTS, SECONDS, LEVEL
"""


def run(folder: Path, code: str) -> None:
    """Run `code`, which counts, in a process of its own."""
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    subprocess.run([sys.executable, "-c", DEFINITIONS + code], env=environment, check=True)


def scrape(folder: Path, definitions: Iterable[Definition] = ALL) -> list[str]:
    values = ProcessFiles(folder).values()
    return exposition.text(definitions, values, {}).decode().splitlines()


def test_series_are_there_before_anything_happens(tmp_path: Path) -> None:
    lines = scrape(tmp_path)
    assert 'image_cloud_events_total{kind="known"} 0.0' in lines
    assert 'image_cloud_event_duration_seconds_bucket{le="0.1"} 0.0' in lines
    assert 'image_cloud_event_duration_seconds_bucket{le="+Inf"} 0.0' in lines
    assert "image_cloud_event_duration_seconds_count 0.0" in lines
    assert "# TYPE image_cloud_events_total counter" in lines
    assert not any(line.startswith("image_cloud_level ") for line in lines)


def test_what_ended_processes_counted_is_kept_and_their_files_go(tmp_path: Path) -> None:
    for _ in range(2):
        run(tmp_path, 'EVENTS.add("known"); EVENTS.add("new", by=2); SECONDS.observe(0.5)')
    before = scrape(tmp_path)
    assert ProcessFiles(tmp_path).merge_ended() > 0
    assert not list(tmp_path.glob("*.db"))
    run(tmp_path, 'EVENTS.add("known")')
    after = scrape(tmp_path)
    assert 'image_cloud_events_total{kind="known"} 2.0' in before
    assert 'image_cloud_events_total{kind="known"} 3.0' in after
    for line in (
        'image_cloud_events_total{kind="new"} 4.0',
        'image_cloud_event_duration_seconds_bucket{le="0.1"} 0.0',
        'image_cloud_event_duration_seconds_bucket{le="1.0"} 2.0',
        'image_cloud_event_duration_seconds_bucket{le="+Inf"} 2.0',
        "image_cloud_event_duration_seconds_sum 1.0",
    ):
        assert line in before
        assert line in after


@pytest.mark.parametrize("value", [0.0, 0.1, 0.1001, 1.0, 5.0])
def test_many_alike_are_observed_as_one_by_one(tmp_path: Path, value: float) -> None:
    for folder in ("at once", "each"):
        (tmp_path / folder).mkdir()
    run(tmp_path / "at once", f"SECONDS.observe({value}, times=3)")
    run(tmp_path / "each", f"[SECONDS._of(()).observe({value}) for _ in range(3)]")
    assert scrape(tmp_path / "at once") == scrape(tmp_path / "each")


def test_forked_processes_count_for_themselves(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
import os
EVENTS.add("known")
for _ in range(3):
    if not os.fork():
        EVENTS.add("known")
        os._exit(0)
for _ in range(3):
    os.wait()
EVENTS.add("known")
""",
    )
    assert 'image_cloud_events_total{kind="known"} 5.0' in scrape(tmp_path)
    ProcessFiles(tmp_path).merge_ended()
    assert 'image_cloud_events_total{kind="known"} 5.0' in scrape(tmp_path)


def test_a_gauge_is_a_living_process_s(tmp_path: Path) -> None:
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    code = DEFINITIONS + "LEVEL.set(7); print('set', flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"set\n"
        ProcessFiles(tmp_path).merge_ended()
        assert "image_cloud_level 7.0" in scrape(tmp_path)
        process.communicate(b"\n")
    assert not any(line.startswith("image_cloud_level ") for line in scrape(tmp_path))
    ProcessFiles(tmp_path).merge_ended()
    assert not list(tmp_path.glob("*.db"))


def test_a_merge_that_was_cut_counts_nothing_twice(tmp_path: Path) -> None:
    run(tmp_path, 'EVENTS.add("known")')
    kept = {path: path.read_bytes() for path in tmp_path.glob("*.db")}
    ProcessFiles(tmp_path).merge_ended()
    for path, content in kept.items():  # as if it had died before it removed them
        path.write_bytes(content)
    assert 'image_cloud_events_total{kind="known"} 1.0' in scrape(tmp_path)
    for _ in range(2):
        ProcessFiles(tmp_path).merge_ended()
        assert 'image_cloud_events_total{kind="known"} 1.0' in scrape(tmp_path)
    assert not list(tmp_path.glob("*.db"))


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 5000, b"\x10\x00\x00\x00" + b"\x00" * 4092, b"[]", b'{"samples": 3}']
)
def test_broken_files_cost_only_what_they_held(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "counter_999999999.db").write_bytes(content)
    (tmp_path / "histogram_999999998.db").write_bytes(content)
    (tmp_path / "ended.json").write_bytes(content)
    run(tmp_path, 'EVENTS.add("known")')
    assert 'image_cloud_events_total{kind="known"} 1.0' in scrape(tmp_path)
    ProcessFiles(tmp_path).merge_ended()
    assert 'image_cloud_events_total{kind="known"} 1.0' in scrape(tmp_path)
    assert not list(tmp_path.glob("*.db"))


def test_series_of_an_older_release_are_passed_over(tmp_path: Path) -> None:
    run(tmp_path, 'EVENTS.add("known")')
    renamed = Counter("events_total", "Events.", ("other_label",))
    assert not any(
        line.startswith("image_cloud_events_total{") for line in scrape(tmp_path, [renamed])
    )


def test_what_cannot_be_counted_does_not_stop_the_work(tmp_path: Path) -> None:
    run(tmp_path / "missing", 'EVENTS.add("known"); LEVEL.set(1); SECONDS.observe(1)')


def test_no_process_loads_web_servers_to_count(tmp_path: Path) -> None:
    run(
        tmp_path,
        'EVENTS.add("known"); import sys; heavy = {"http.server", "wsgiref", "email", "asyncio", "ast"}\n'
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)",
    )


# --- requests -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cache", "by_pool", "result"),
    [
        ("HIT", False, "nginx"), ("HIT", True, "front"), ("MISS", True, "miss"), ("PEER", True, "peer"),
        ("RESIZED", True, "resized"), ("STALE", True, "stale"), ("FALLBACK", True, "fallback"),
        ("", True, "none"), ("NONSENSE", True, "none"), ("NGINX", True, "none"),
    ],
)  # fmt: skip
def test_where_a_picture_came_from(cache: str, by_pool: bool, result: str) -> None:
    assert result_of(Answered("/get_image", 200, 0.1, 10, cache, by_pool=by_pool)) == result


def test_clients_cannot_make_series_at_will(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
from image_cloud.metrics.requests import Answered, RequestCounter
counter = RequestCounter()
for number in range(3000):
    route, client = f"/{number % 100}", f"client-{number % 77}"
    counter.count(Answered(route, 100 + number % 900, 0.01, 5, "HIT", client))
counter.count(Answered("/0", 200, 0.01, 5, "HIT", "client-0", by_pool=False), times=2)
""",
    )
    from image_cloud.metrics.definitions import REQUEST_SECONDS, REQUESTS

    lines = scrape(tmp_path, [REQUESTS])
    totals = [line for line in lines if line.startswith("image_cloud_requests_total{")]
    assert len(totals) < 1200
    assert sum(float(line.rpartition(" ")[2]) for line in totals) == 3002
    counts = [line for line in scrape(tmp_path, [REQUEST_SECONDS]) if "_count{" in line]
    assert sum(float(line.rpartition(" ")[2]) for line in counts) == 3002
    assert len(counts) < 400


# --- log events -----------------------------------------------------------------------------------


def test_warnings_are_counted_by_their_event(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
import logging
from image_cloud.metrics.events import count_events
count_events()
log = logging.getLogger("image_cloud.anything")
logging.getLogger().setLevel("INFO")
log.info("event=downloaded key=%s", "x")
log.warning("event=%s_refused file=%s", "tokens", "event=lost")
log.error("event=lost key=%s", "x")
log.error("event=lost key=%s", "y")
log.warning("not ours: event=lost")
log.warning("event=broken %d", "x")
logging.getLogger("image_cloud.metrics.client").warning("event=not_counted")
for number in range(300):
    log.warning("event=e_" + "abcdefghij"[number % 10] * (number // 10 + 1))
""",
    )
    from image_cloud.metrics.definitions import LOG_EVENTS

    lines = scrape(tmp_path, [LOG_EVENTS])
    assert 'image_cloud_log_events_total{event="tokens_refused"} 1.0' in lines
    assert 'image_cloud_log_events_total{event="lost"} 2.0' in lines
    assert 'image_cloud_log_events_total{event="thread_died"} 0.0' in lines
    assert not any("not_counted" in line or "downloaded" in line for line in lines)
    assert len(lines) < 120
    assert any('event="other"' in line for line in lines)


# --- work -----------------------------------------------------------------------------------------


def test_work_is_counted_by_how_it_ends(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
import contextlib
from image_cloud.errors import OriginDns
from image_cloud.metrics.outcomes import timed
for error in (None, OriginDns(), ValueError(), KeyboardInterrupt()):
    with contextlib.suppress(BaseException), timed(EVENTS, SECONDS):
        if error:
            raise error
""",
    )
    lines = scrape(tmp_path)
    for end, count in {"ok": 1.0, "origin_dns": 1.0, "internal": 1.0}.items():
        assert f'image_cloud_events_total{{kind="{end}"}} {count}' in lines
    assert "image_cloud_event_duration_seconds_count 3.0" in lines


# --- definitions ----------------------------------------------------------------------------------


def test_definitions_follow_the_conventions() -> None:
    from image_cloud.metrics.definitions import all_definitions

    definitions = all_definitions()
    assert len({one.name for one in definitions}) == len(definitions)
    for one in definitions:
        assert one.help.endswith("."), one.name
        assert one.group, one.name
        assert (one.kind == "counter") == one.name.endswith("_total"), one.name
        assert (one.kind == "histogram") == one.name.endswith("_duration_seconds"), one.name
        assert not isinstance(one, State) or one.kind in ("gauge", "counter")
        assert all(len(labels) == len(one.labels) for labels in one.known), one.name


def test_the_reference_is_up_to_date() -> None:
    from image_cloud.metrics import reference

    document = Path(__file__).parents[2] / "docs/metrics.md"
    assert document.read_text() == "\n".join(reference.lines()).rstrip() + "\n"
