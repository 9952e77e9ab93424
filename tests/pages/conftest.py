"""A browser at a real stack; whatever it complains of on its console fails the test that made it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.stack.running import Stack

CHROMIUM = "/usr/bin/chromium"
DEADLINE_MS = 60_000


class Visitor:
    """One browser window that notes what goes wrong in it; `allowed` are complaints that a test expects."""

    def __init__(self, context: BrowserContext, base: str) -> None:
        context.set_default_timeout(DEADLINE_MS)
        self.context = context
        self.base = base
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.allowed: list[str] = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def go(self, path: str) -> Page:
        self.page.goto(self.base + path)
        return self.page

    def log_in(self, token: str) -> Page:
        page = self.go("/login")
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Log in").click()
        return page

    def check(self) -> None:
        assert not [one for one in self.complaints if not any(ok in one for ok in self.allowed)]

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} ({message.location})")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without its own sandbox: the tests run as root."""
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]) as launched,
    ):
        yield launched


@pytest.fixture
def visitor(browser: Browser, stack: Stack) -> Iterator[Visitor]:
    """Somebody who has not logged in."""
    context = browser.new_context()
    found = Visitor(context, stack.url)
    yield found
    context.close()
    found.check()


@pytest.fixture
def operator(visitor: Visitor, stack: Stack) -> Visitor:
    """Somebody who has logged in with the stack's own token, which has every scope."""
    visitor.log_in(stack.token)
    visitor.page.get_by_role("heading", name="Overview").wait_for()
    return visitor
