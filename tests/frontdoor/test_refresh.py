"""Pictures that change at their origins under the same URL."""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from image_cloud.picture.key import fan_out, key_of
from tests import origin as behave
from tests.frontdoor.client import eventually, get, jpeg, problem, tag_of
from tests.frontdoor.test_command_line import run
from tests.origin import Origin, Versions
from tests.stack.running import Stack

OLD, NEW = jpeg(200, 150, seed=1), jpeg(160, 120, seed=2)
DATE, LATER = "Wed, 25 Nov 2026 10:00:00 GMT", "Wed, 25 Nov 2026 10:00:09 GMT"


def refresh(stack: Stack, url: str) -> dict[str, Any]:
    answer = get(stack, "/refresh_image", "POST", url=url)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    told: dict[str, Any] = answer.json()
    return told


def shown(stack: Stack, url: str) -> tuple[bytes, str, str]:
    answer = get(stack, "/get_image", url=url)
    return answer.content, answer.headers["ETag"], answer.headers["Last-Modified"]


@pytest.mark.parametrize(
    "validators",
    [{"ETag": '"1"'}, {"ETag": 'W/"1"'}, {"Last_Modified": DATE}, {"ETag": "1", "Last_Modified": DATE}],
)  # fmt: skip
def test_unchanged_costs_no_transfer_and_no_version(
    stack: Stack, origin: Origin, validators: dict[str, str]
) -> None:
    shop = Versions(OLD, **validators)
    url = origin.behave("/same.jpg", shop)
    before = shown(stack, url)
    small = get(stack, "/get_thumbnail", url=url)
    told = refresh(stack, url)
    assert (told["changed"], shop.sent) == (False, [200, 304])
    assert told["checked_at"] > told["stored_at"]
    assert shown(stack, url) == before
    again = get(stack, "/get_thumbnail", url=url)
    assert again.headers["X-Cache"] == "HIT"
    assert again.headers["Last-Modified"] == small.headers["Last-Modified"]


@pytest.mark.parametrize(
    ("validators", "others"),
    [({}, {}), ({"ETag": '"1"'}, {"ETag": '"2"'}), ({"Last_Modified": DATE}, {"Last_Modified": LATER})],
)  # fmt: skip
def test_changed_is_a_new_version(
    stack: Stack, origin: Origin, validators: dict[str, str], others: dict[str, str]
) -> None:
    shop = Versions(OLD, **validators)
    url = origin.behave("/changed.jpg", shop)
    before, small = shown(stack, url), get(stack, "/get_thumbnail", url=url, size=100)
    shop.put(NEW, **others)
    assert refresh(stack, url)["changed"]
    after = shown(stack, url)
    assert after[:2] == (NEW, tag_of(NEW))
    assert after[2] != before[2]
    new_small = get(stack, "/get_thumbnail", url=url, size=100)
    assert (new_small.headers["X-Cache"], new_small.content != small.content) == ("RESIZED", True)
    assert not refresh(stack, url)["changed"]


def test_validators_that_lie(stack: Stack, origin: Origin) -> None:
    shop = Versions(OLD, ETag='"0"')
    url = origin.behave("/lying.jpg", shop)
    before = shown(stack, url)
    for number in range(1, 4):  # another tag each time, for the same bytes
        shop.put(OLD, ETag=f'"{number}"')
        assert not refresh(stack, url)["changed"]
    assert shown(stack, url) == before
    assert not refresh(stack, url)["changed"]  # that tag was recorded
    assert shop.sent == [200, 200, 200, 200, 304]


@pytest.mark.parametrize(
    ("fails", "status", "code"),
    [
        (behave.answer_404, 404, "origin_not_found"),
        (behave.answer(500), 502, "origin_status"),
        (behave.html, 422, "not_an_image"),
        (behave.close, 502, "origin_reset"),
        (behave.short_body(NEW[:900], len(NEW)), 422, "truncated_image"),
        (behave.answer(200, body=NEW[:900]), 422, "truncated_image"),  # as if that were all
    ],
)
def test_a_failing_origin_does_not_cost_the_picture(
    stack: Stack, origin: Origin, fails: Any, status: int, code: str
) -> None:
    url = origin.serve("/failing.jpg", OLD)
    before = shown(stack, url)
    origin.behave("/failing.jpg", fails)
    answer = get(stack, "/refresh_image", "POST", url=url)
    assert (answer.status_code, answer.json()["code"]) in [(status, code), (502, "origin_reset")]
    assert shown(stack, url) == before
    origin.serve("/failing.jpg", NEW)
    assert refresh(stack, url)["changed"]  # what was remembered does not matter


def test_what_is_not_here_is_fetched_and_what_is_blocked_is_not(
    stack: Stack, origin: Origin
) -> None:
    url = origin.serve("/fetched.jpg", OLD)
    assert refresh(stack, url)["changed"]
    assert shown(stack, url)[0] == OLD
    get(stack, "/delete_image", "DELETE", url=url, block="true")
    problem(get(stack, "/refresh_image", "POST", url=url), 410, "blocked")
    get(stack, "/delete_image", "DELETE", url=url, block="false")
    problem(get(stack, "/refresh_image", "POST"), 400, "bad_parameter")
    problem(get(stack, "/refresh_image", url=url), 405, "method_not_allowed")


@pytest.mark.parametrize("is_changed", [False, True])
def test_a_delete_during_a_check_wins(stack: Stack, origin: Origin, is_changed: bool) -> None:
    shop = Versions(OLD, ETag='"1"')
    url = origin.behave("/deleted.jpg", shop)
    assert shown(stack, url)[0] == OLD
    if is_changed:
        shop.put(NEW, ETag='"2"')
    gate = behave.Gate(shop)
    origin.behave("/deleted.jpg", gate)
    answers: list[Any] = []
    thread = threading.Thread(
        target=lambda: answers.append(get(stack, "/refresh_image", "POST", url=url))
    )
    thread.start()
    gate.await_arrival()
    assert get(stack, "/delete_image", "DELETE", url=url).json()["deleted"]
    gate.open()
    thread.join(60)
    problem(answers[0], 503, "deleted_meanwhile")
    assert get(stack, "/get_image", url=url, only_send_if_local="true").status_code == 404


def test_one_check_at_a_time(stack: Stack, origin: Origin) -> None:
    shop = Versions(OLD, ETag='"1"')
    url = origin.behave("/once.jpg", shop)
    assert shown(stack, url)[0] == OLD
    gate = behave.Gate(shop)
    origin.behave("/once.jpg", gate)
    threads = [threading.Thread(target=lambda: refresh(stack, url)) for _ in range(6)]
    for thread in threads:
        thread.start()
    gate.await_arrival()
    assert origin.most_parallel == 1
    gate.open()
    for thread in threads:
        thread.join(60)
    assert origin.most_parallel == 1


def test_the_command_and_what_is_told_afterwards(
    stack: Stack, origin: Origin, tmp_path: Path
) -> None:
    shop = Versions(OLD, ETag='"1"', Last_Modified=DATE)
    url = origin.behave("/told.jpg", shop)
    assert shown(stack, url)[0] == OLD
    token = tmp_path / "token"
    token.write_text(stack.token)
    elsewhere = ["--url", stack.url, "--token-file", str(token)]
    done = run(tmp_path, *elsewhere, "refresh", url)
    assert (done.returncode, done.stdout.split()[0]) == (0, "unchanged")
    shop.put(NEW, ETag='"2"')
    assert json.loads(run(tmp_path, *elsewhere, "refresh", url, "--json").stdout)["changed"]
    origin.behave("/told.jpg", behave.answer(410))
    assert run(tmp_path, *elsewhere, "refresh", url).returncode == 4

    def facts() -> Any:
        return get(stack, "/explain", url=url).json()

    assert facts()["record"]["etag"] == '"2"'
    assert facts()["failures"]["check"]["code"] == "origin_not_found"
    eventually(lambda: (facts()["catalogue"] or {}).get("etag") == '"2"', "the row has it, too")


def ask(stack: Stack, url: str, max_age: Any = 0, path: str = "/get_image", **more: Any) -> Any:
    return get(stack, path, url=url, max_age=max_age, **more)


def age_by(stack: Stack, url: str, seconds: float) -> None:
    """Have the picture's last check be longer ago."""
    key = key_of(url)
    file = stack.home / "storage/checked" / fan_out(key) / key
    at = file.stat().st_mtime - seconds
    os.utime(file, (at, at))


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/get_image", {}),
        ("/get_image", {"resize_width": 40}),
        ("/get_image", {"resize_width": 40, "format_when_resize": "png"}),
        ("/get_thumbnail", {"size": 100}),
        ("/iproxy.php", {"size": 100}),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_max_age_asks_before_it_answers(
    stack: Stack, origin: Origin, method: str, path: str, more: dict[str, Any]
) -> None:
    shop = Versions(OLD, ETag='"1"')
    url = origin.behave("/age.jpg", shop)

    def asked(max_age: int) -> Any:
        return get(stack, path, method, url=url, max_age=max_age, **more)

    assert asked(0).headers["X-Cache"] in ("MISS", "RESIZED")
    before = asked(3600)
    assert (before.headers["X-Cache"], shop.sent) == ("HIT", [200])
    same = asked(0)
    assert (same.headers["X-Cache"], same.headers["ETag"]) == ("HIT", before.headers["ETag"])
    assert shop.sent == [200, 304]
    shop.put(NEW, ETag='"2"')
    age_by(stack, url, 10)
    assert asked(60).headers["ETag"] == before.headers["ETag"]
    changed = asked(9)
    assert changed.headers["ETag"] != before.headers["ETag"]
    assert changed.headers["X-Cache"] == ("RESIZED" if more else "MISS")
    assert asked(9).headers["X-Cache"] == "HIT"
    assert get(stack, path, method, url=url, **more).headers["ETag"] == changed.headers["ETag"]
    assert shop.sent == [200, 304, 200]


@pytest.mark.parametrize(
    "fails",
    [
        behave.answer_404, behave.answer(410), behave.answer(503), behave.html, behave.close,
        behave.answer(200, body=b"GIF89a"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("more", [{}, {"resize_width": 50}])
def test_the_old_one_where_the_origin_fails(
    stack: Stack, origin: Origin, fails: Any, more: dict[str, int]
) -> None:
    url = origin.serve("/stale.jpg", OLD)
    before = get(stack, "/get_image", url=url)
    origin.behave("/stale.jpg", fails)
    for _ in range(3):
        answer = ask(stack, url, **more)
        assert (answer.status_code, answer.headers["X-Cache"]) == (200, "STALE")
        if not more:
            assert answer.content == before.content
    assert origin.count("/stale.jpg") <= 3  # a dead connection may be tried twice
    assert get(stack, "/get_image", url=url).headers["X-Cache"] == "HIT"
    assert ask(stack, url, 3600).headers["X-Cache"] == "HIT"
    answer = ask(stack, url, no_image="true")
    assert (answer.status_code, answer.headers["X-Cache"]) == (204, "STALE")
    local = ask(stack, url, only_send_if_local="true")
    assert local.headers["X-Cache"] == "HIT"
    origin.serve("/stale.jpg", NEW)
    assert refresh(stack, url)["changed"]
    assert ask(stack, url, 60).headers["X-Cache"] == "HIT"


def test_a_storm_costs_the_origin_one_request_a_second(stack: Stack, origin: Origin) -> None:
    shop = Versions(OLD, ETag='"1"')
    url = origin.behave("/storm.jpg", shop)
    assert ask(stack, url).status_code == 200
    until = time.monotonic() + 2.5

    def storm() -> None:
        while time.monotonic() < until:
            assert ask(stack, url).content == OLD

    threads = [threading.Thread(target=storm) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    times = [one.at_s for one in origin.requests[1:]]
    assert 2 <= len(times) <= 4
    assert all(later - earlier >= 0.95 for earlier, later in itertools.pairwise(times))


@pytest.mark.parametrize("value", ["-1", "", "1.5", "2147483648", "soon"])
def test_a_malformed_max_age(stack: Stack, origin: Origin, value: str) -> None:
    url = origin.serve("/malformed.jpg", OLD)
    for path in ("/get_image", "/get_thumbnail"):
        told = problem(ask(stack, url, value, path), 400, "bad_parameter")
        assert "max_age" in told["detail"]


def test_a_batch_that_wants_young_pictures(stack: Stack, origin: Origin) -> None:
    kinds = {"same": (OLD, '"1"'), "changed": (NEW, '"2"')}
    shops = {name: Versions(OLD, ETag='"1"') for name in kinds}
    urls = {name: origin.behave(f"/batch-{name}.jpg", shop) for name, shop in shops.items()}
    urls["broken"] = origin.serve("/batch-broken.jpg", OLD)
    for url in urls.values():
        assert get(stack, "/get_image", url=url).content == OLD
    for name, (content, tag) in kinds.items():
        shops[name].put(content, ETag=tag)
    origin.behave("/batch-broken.jpg", behave.answer_404)

    def send(max_age: Any) -> Any:
        body = {"urls": list(urls.values()), "max_age": max_age}
        return get(stack, "/fire_and_forget", "POST", json=body)

    young = send(3600).json()
    assert (young["accepted"], young["already_cached"]) == (0, 3)
    assert send(None).json()["already_cached"] == 3
    for wrong in (-1, 1.5, "60", True, 2**31):
        assert "max_age" in problem(send(wrong), 400, "bad_body")["detail"]
    batch = send(0).json()
    assert batch["accepted"] == 3

    def progress() -> Any:
        return get(stack, "/fire_and_forget", batch=batch["batch"]).json()

    eventually(lambda: progress()["finished_at"], "the batch ends")
    assert (progress()["done"], progress()["failures"]) == (2, {"origin_not_found": 1})
    assert {name: shop.sent for name, shop in shops.items()} == {
        "same": [200, 304],
        "changed": [200, 200],
    }
    assert get(stack, "/get_image", url=urls["changed"]).content == NEW
    assert get(stack, "/get_image", url=urls["broken"]).content == OLD


def test_a_list_of_urls_is_asked_for_again(stack: Stack, origin: Origin, tmp_path: Path) -> None:
    shop = Versions(OLD)
    url = origin.behave("/listed.jpg", shop)
    shown(stack, url)
    (tmp_path / "urls").write_text(f"{url}\n")
    elsewhere = ("--url", stack.url, "--token-file", str(stack.home / "token"))
    command = (*elsewhere, "prefetch", str(tmp_path / "urls"), "--wait", "--json")
    run(tmp_path, *command, "--max-age", "86400")
    assert shop.sent == [200], "it is here, and young"
    shop.put(NEW)
    assert json.loads(run(tmp_path, *command, "--max-age", "0").stdout)["done"] == 1
    assert shown(stack, url)[0] == NEW
    assert run(tmp_path, *command, "--max-age", "-1").returncode == 2
