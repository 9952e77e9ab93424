"""Each page at both widths and in both themes: nothing that axe-core finds, nothing wider than the window."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.pages.conftest import Visitor
from tests.stack.running import Stack

PAGES = (
    "/", "/pages/domains", "/pages/prefetch", "/pages/cloning", "/pages/clients", "/pages/picture",
    "/pages/playground",
    "/docs",
)  # fmt: skip
SWAGGER = "#swagger"  # its own buttons lie within buttons
SERIOUS = ("serious", "critical")


def look_at(page: Page, what: str) -> None:
    """Check one page as it is shown."""
    found = Axe().run(page, context={"exclude": [[SWAGGER]]}).response["violations"]
    worst = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in SERIOUS]
    assert not worst, what
    too_wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert too_wide <= 0, f"{what} is {too_wide} px too wide"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_pages_can_be_read_by_everybody(
    browser: Browser, stack: Stack, width: int, theme: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if theme == "dark" else "light",
    )
    visitor = Visitor(context, stack.url)
    look_at(visitor.go("/login"), "the log-in")
    visitor.log_in(stack.token)
    visitor.page.get_by_role("heading", name="Overview").wait_for()
    for path in PAGES:
        look_at(visitor.go(path), path)
    context.close()
    visitor.check()
