"""Domains, Prefetch and Cloning: every button, hostile text, and PostgreSQL stopped."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import requests
from playwright.sync_api import Browser, Page

from tests.frontdoor.client import eventually, get, jpeg
from tests.origin import Gate, Origin, answer, slow_start
from tests.pages.asking import Script
from tests.pages.conftest import Visitor
from tests.pages.test_accessible import look_at
from tests.stack.running import Refused, Stack

PATHS = ("/pages/domains", "/pages/prefetch", "/pages/cloning", "/pages/clients")
EVIL_PATH = "/<script>alert(1)</script>"
EVIL_TARGET = "/%3Cscript%3Ealert(1)%3C/script%3E"  # as browsers, and we, send it
EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture
def queue(stack: Stack) -> Iterator[Stack]:
    """A stack whose queues a test may fill."""
    yield stack
    eventually(lambda: emptied(stack), "the queues are empty")


def emptied(stack: Stack) -> bool:
    """Empty the queues, unless a daemon holds what this needs, and this what the daemon needs."""
    try:
        stack.psql(
            "TRUNCATE prefetch_requests, prefetch_domains, prefetch_followers, prefetch_batches,"
            " prefetch_failures, clone_requests"
        )
    except Refused:
        return False
    return True


def batch(stack: Stack, *urls: str) -> str:
    taken = get(stack, "/fire_and_forget", "POST", json={"urls": urls})
    assert taken.status_code == 202, taken.text
    return str(taken.json()["batch"])


def waiting(stack: Stack, one: str) -> int:
    return int(get(stack, "/fire_and_forget", batch=one).json()["waiting"])


def no_script_ran(page: Page) -> None:
    assert page.locator("main img[src=x], main script").count() == 0


def test_a_batch_is_cancelled_and_its_failures_are_tried_again(
    operator: Visitor, queue: Stack, origin: Origin
) -> None:
    gate = Gate(answer(404))
    origin.behave(EVIL_TARGET, gate)
    urls = [origin.url(f"{EVIL_PATH}?{number}") for number in range(20)]
    one = batch(queue, *urls)
    gate.await_arrival()
    page = operator.go("/pages/prefetch")
    row = page.get_by_role("article").filter(has_text=one[:8])
    assert "Running" in row.inner_text()
    page.get_by_role("button", name=f"Cancel batch {one[:8]}").click()
    row.get_by_text("Being cancelled").wait_for()
    gate.open()
    eventually(lambda: not waiting(queue, one), "it has ended")
    row.get_by_text("Cancelled", exact=True).wait_for()  # by the page's own poll
    assert "origin_not_found" in row.inner_text()
    page.get_by_role("link", name=one[:8]).click()
    page.get_by_role("heading", name="URLs that failed").wait_for()
    assert f"{EVIL_PATH}?" in page.get_by_role("table").inner_text()
    no_script_ran(page)
    origin.serve(EVIL_TARGET, jpeg(64, 48))
    page.get_by_role("button", name=f"Retry failures of batch {one[:8]}").click()
    page.get_by_role("heading", name=re.compile("^Batch")).wait_for()
    eventually(lambda: not waiting(queue, one), "it has ended again")
    assert get(queue, "/fire_and_forget", batch=one).json()["failed"] == 0
    page.get_by_role("link", name="All batches").click()
    page.get_by_role("heading", name="Prefetch").wait_for()


def test_older_batches_are_on_further_pages(operator: Visitor, queue: Stack) -> None:
    first = batch(queue)
    for _ in range(21):
        batch(queue)
    page = operator.go("/pages/prefetch")
    assert page.get_by_role("article").count() == 20
    page.get_by_role("link", name="Older").click()
    page.get_by_role("link", name=first[:8]).wait_for()
    page.get_by_role("link", name="Newest").click()
    page.get_by_role("link", name="Older").wait_for()


def test_a_paused_domain_is_tried_at_once(operator: Visitor, queue: Stack, origin: Origin) -> None:
    # Slow enough to be among the slowest, whatever other tests have asked for in this hour.
    busy = slow_start(1.0, answer(429, headers={"Retry-After": "3600"}))
    url = origin.behave("/busy", busy)
    assert get(queue, "/get_image", url=url).status_code in (502, 503)
    name = f"127.0.0.1/{origin.port}"
    page = operator.go("/pages/domains")
    row = page.get_by_role("article").filter(has_text=name)
    assert "Paused by the shop" in row.inner_text()
    assert re.search(r"Next try\s*in (59 min|60 min|1 h), for users in [45] min", row.inner_text())
    page.get_by_role("button", name=f"Try now: {name}").click()
    row.wait_for(state="detached")
    assert name not in queue.cli("domains")
    page.get_by_role("heading", name="Slowest in the last hour").wait_for()
    page.get_by_role("rowheader", name=name).wait_for()  # counted a moment later


def test_what_shops_say_is_text(operator: Visitor, queue: Stack) -> None:
    told = {
        "domain": EVIL, "until": time.time() + 3600, "failures": 1, "opened": 1, "code": "origin_tls",
        "detail": EVIL, "changed": time.time(), "since": time.time(),
    }  # fmt: skip
    file = queue.home / "storage/domains/hostile.json"
    file.write_text(json.dumps(told))
    file.chmod(0o644)
    try:
        page = operator.go("/pages/domains")
        row = page.get_by_role("article").filter(has_text="onerror")
        assert row.inner_text().count("<script>alert(2)</script>") == 2
        no_script_ran(page)
    finally:
        file.unlink()


def test_stuck_requests_and_the_audit(operator: Visitor, queue: Stack) -> None:
    queue.psql(
        "INSERT INTO clone_requests (key, url, host, format, bytes, sha256, stored_at, peer, attempts,"
        " last_error, not_before) VALUES"
        f" ('{'a' * 64}', 'http://x/{EVIL}', 'x', 'jpg', 1, 'b', now(), 'ic01', 7, 'peer_away',"
        " now() + interval '1 hour')"
    )
    page = operator.go("/pages/cloning")
    table = page.locator("#stuck table")
    assert "peer_away" in table.inner_text()
    assert EVIL in table.inner_text()
    no_script_ran(page)
    assert page.get_by_role("heading", name="Audit").is_visible()
    assert "This node has no peers." in page.content()


def test_clients_and_what_they_were_refused(operator: Visitor, stack: Stack) -> None:
    token = stack.cli("token", "add", "curious", "read").split()[-1]
    address, headers = f"{stack.url}/domains", {"X-Image-Cloud-Token": token}
    eventually(
        lambda: requests.get(address, headers=headers, timeout=30).status_code == 403,
        "it is refused",
    )
    requests.get(address, headers={"X-Image-Cloud-Token": "x" * 30}, timeout=30)
    page = operator.go("/pages/clients")
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="curious"))
    assert "read" in row.inner_text()
    row.locator("td.bad").wait_for(timeout=60_000)  # the sampler counts, the page asks again
    assert page.get_by_role("rowheader", name="first").is_visible()
    without = page.get_by_role("row").filter(has_text="without a token, or with an unknown one")
    assert without.locator("td.bad").count() >= 1
    stack.cli("token", "revoke", "curious")


def test_without_postgresql_the_pages_are_there_at_once(operator: Visitor, stack: Stack) -> None:
    script = Script(stack)
    script.log_in(stack.token)
    for path in PATHS:
        assert script.get(path).status_code == 200
    stack.supervisorctl("stop", "postgres")
    try:
        for path, says in zip(PATHS, ("", "not known", "not known", ""), strict=True):
            answered = [script.get(path) for _ in range(5)]
            assert {one.status_code for one in answered} == {200}
            assert says in answered[-1].text
            took_s = min(one.elapsed.total_seconds() for one in answered)
            print(f"{path} took {took_s * 1000:.0f} ms with PostgreSQL stopped")
        page = operator.go("/pages/prefetch")
        page.get_by_text("The batches are not known.").wait_for()
    finally:
        stack.supervisorctl("start", "postgres")
    page.get_by_text("The batches are not known.").wait_for(state="detached", timeout=60_000)


def test_forms_of_others_change_nothing(stack: Stack) -> None:
    script = Script(stack)
    script.log_in(stack.token)
    fields = {"batch": str(uuid.uuid4()), "action": "cancel", "domain": "a.example"}
    for path in PATHS[:2]:
        assert script.post(path, fields).status_code == 403
        token = script.form_token("/") if 'name="form_token"' in script.get("/").text else ""
        foreign = {"Origin": "http://evil.example"}
        assert script.post(path, fields | {"form_token": token}, headers=foreign).status_code == 403
    token = script.form_token("/pages/prefetch")
    assert script.post("/pages/prefetch", fields | {"form_token": token}).status_code == 404
    assert (
        script.post("/pages/prefetch", {"form_token": token, "batch": fields["batch"]}).status_code
        == 400
    )


@pytest.fixture
def busy(queue: Stack, origin: Origin) -> Stack:
    """A stack that has something to show on each page."""
    for code, count in ((404, 3), (410, 2)):
        url = origin.behave(f"/{code}", answer(code))
        one = batch(queue, *(f"{url}?{number}" for number in range(count)))
    running = batch(
        queue, *(f"http://127.0.9.9:9/a/very/long/path/of/{'a' * 80}/{n}.jpg" for n in range(40))
    )
    eventually(lambda: not waiting(queue, one), "it has ended")
    throttled = origin.behave("/busy", answer(429, headers={"Retry-After": "3600"}))
    get(queue, "/get_image", url=throttled)
    queue.psql(
        "INSERT INTO clone_requests (key, url, host, format, bytes, sha256, stored_at, peer, attempts)"
        f" VALUES ('{'b' * 64}', 'http://x/{'y' * 300}.jpg', 'x', 'jpg', 1, 'b', now(), 'ic01', 4)"
    )
    assert waiting(queue, running)
    return queue


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_full_pages_can_be_read_by_everybody(
    browser: Browser, busy: Stack, tmp_path: Path, width: int, theme: Literal["light", "dark"]
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)
    visitor = Visitor(context, busy.url)
    visitor.log_in(busy.token)
    visitor.page.get_by_role("heading", name="Overview").wait_for()
    for path in PATHS:
        page = visitor.go(path)
        page.screenshot(
            path=tmp_path / f"{path.rpartition('/')[2]}-{width}-{theme}.png", full_page=True
        )
        look_at(page, path)
    page = visitor.go("/pages/prefetch")
    page.get_by_role("article").filter(has_text="origin_not_found").first.get_by_role(
        "link"
    ).click()
    page.get_by_role("heading", name="URLs that failed").wait_for()
    page.screenshot(path=tmp_path / f"batch-{width}-{theme}.png", full_page=True)
    look_at(page, "a batch")
    context.close()
    visitor.check()


def test_the_pages_work_with_the_keyboard(operator: Visitor, queue: Stack) -> None:
    one = batch(queue, "http://127.0.9.9:9/never.jpg")
    page = operator.go("/pages/prefetch")
    button = page.get_by_role("button", name=f"Cancel batch {one[:8]}")
    for _ in range(30):
        page.keyboard.press("Tab")
        if button.evaluate("one => one === document.activeElement"):
            break
    page.keyboard.press("Enter")
    eventually(lambda: waiting(queue, one) == 0, "it is cancelled")
