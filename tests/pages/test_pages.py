"""The pages at work: what they show, each button, and strangers' texts that stay texts."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
import requests

from tests.frontdoor.client import eventually, get, jpeg
from tests.origin import Origin
from tests.pages.asking import Script, form_token_in
from tests.pages.conftest import Visitor
from tests.stack.running import Stack

HOSTILE = "/%3Cscript%3Ealert(1)%3C/script%3E<script>alert(1)</script>'\"&lt;.jpg"


@pytest.fixture
def script(stack: Stack) -> Script:
    found = Script(stack)
    assert found.log_in(stack.token).status_code == 303
    return found


def page_of(url: str, page: str = "/pages/picture") -> str:
    return f"{page}?url={quote(url, safe='')}"


def test_the_overview_shows_the_node(operator: Visitor) -> None:
    card = operator.page.get_by_role("article", name="ic00")
    card.get_by_text("Disk free").wait_for()  # a pool that has just begun may not know yet
    for text in (
        "Last seen",
        "Disk free",
        "Disk full in",
        "Hit rate",
        "Clone backlog",
        "Prefetch queue",
        "Version",
    ):
        assert text in card.inner_text()
    assert re.search(r"Works|Degraded", card.inner_text())


def test_each_length_of_charts_can_be_chosen(operator: Visitor) -> None:
    for length in ("6h", "24h", "14d", "1h"):
        operator.page.get_by_role("link", name=length, exact=True).click()
        operator.page.wait_for_url(f"**/?window={length}*")
        assert operator.page.locator(".chart").count() == 4
    operator.page.get_by_text("Table").first.click()
    assert operator.page.get_by_role("region", name="Requests").is_visible()


def test_the_first_view_needs_no_script(script: Script) -> None:
    page = script.get("/").text
    for text in ("Nodes", "Disk free", "Time to answer with a picture", "<table>"):
        assert text in page


def test_an_old_page_says_so_and_comes_back(operator: Visitor) -> None:
    operator.allowed.append("net::ERR_FAILED")
    operator.context.clock.install()
    page = operator.go("/")
    note = page.locator("#stale")
    operator.context.route("**/*", lambda route: route.abort())
    page.clock.fast_forward(6_000)
    note.get_by_text("the node does not answer").wait_for()
    operator.context.unroute("**/*")
    page.clock.fast_forward(60_000)
    note.wait_for(state="hidden")


def test_the_database_away_is_told_and_slows_no_page(script: Script, stack: Stack) -> None:
    stack.supervisorctl("stop", "postgres")
    try:
        page = eventually(
            lambda: "database" in (text := script.get("/").text) and "broken" in text and text,
            "the overview tells of it",
        )
        assert "Degraded" in page
        for path in ("/", "/pages/picture", "/pages/playground", "/docs"):
            assert script.get(path).status_code == 200
    finally:
        stack.supervisorctl("start", "postgres")
    eventually(lambda: get(stack, "/ready").json()["database"] == "ok", "the database is back")


def test_a_picture_is_explained_and_shown(operator: Visitor, stack: Stack, origin: Origin) -> None:
    origin.serve("/shown.jpg", jpeg())
    url = origin.url("/shown.jpg")
    assert get(stack, "/get_thumbnail", url=url, size=200).status_code == 200
    page = operator.go("/pages/picture")
    page.get_by_label("URL of the picture").fill(url)
    page.get_by_role("button", name="Explain").click()
    page.get_by_alt_text("The original").wait_for()
    assert "640 × 480 px" in page.content()
    assert "Difference hash" not in page.content(), "nobody has asked for it"
    dhash = get(stack, "/image_info", url=url).json()["dhash"]
    page.reload()
    page.get_by_text(dhash).first.wait_for()
    shown = page.locator("img.shown")
    assert shown.count() >= 2
    page.wait_for_function(
        "[...document.querySelectorAll('img.shown')].every((one) => one.complete && one.naturalWidth)"
    )
    page.get_by_text("Everything that the nodes say").click()
    assert '"verdict"' in page.locator("#everything").inner_text()


def test_every_button_of_a_picture(operator: Visitor, stack: Stack, origin: Origin) -> None:
    origin.serve("/buttons.jpg", jpeg(seed=1))
    url = origin.url("/buttons.jpg")
    assert get(stack, "/get_image", url=url).status_code == 200
    for button, word, status in (
        ("Refresh", "Refreshed", 200), ("Delete", "Deleted", 404),
        ("Block", "Blocked", 410), ("Unblock", "Unblocked", 404),
    ):  # fmt: skip
        page = operator.go(page_of(url))
        page.get_by_role("button", name=button, exact=False).first.click()
        page.get_by_role("button", name=button, exact=True).click()
        assert word in page.get_by_role("status").get_by_text(word).inner_text()
        answer = get(stack, "/get_image", url=url, only_send_if_local="true")
        assert answer.status_code == status
    page.get_by_role("button", name="Back to the picture").click()
    page.get_by_role("heading", name="Picture", exact=True).wait_for()


def test_buttons_need_their_scope(stack: Stack, origin: Origin) -> None:
    token = stack.cli("token", "add", "looker", "ops").split()[-1]
    looker = Script(stack)
    assert looker.log_in(token).status_code == 303
    url = origin.url("/looked.jpg")
    page = looker.get(page_of(url)).text
    assert "/pages/picture/delete" not in page
    token_of_form = form_token_in(page)
    for name in ("delete", "block", "unblock", "refresh"):
        assert looker.get(page_of(url, f"/pages/picture/{name}")).status_code == 403
        answer = looker.post(f"/pages/picture/{name}", {"form_token": token_of_form, "url": url})
        assert answer.status_code == 403
    stack.cli("token", "revoke", "looker")


def test_files_of_pictures_need_the_session(script: Script, stack: Stack, origin: Origin) -> None:
    content = jpeg(seed=2)
    origin.serve("/file.jpg", content)
    url = origin.url("/file.jpg")
    assert get(stack, "/get_image", url=url).status_code == 200
    address = page_of(url, "/pages/picture/file")
    answer = script.get(address)
    assert answer.content == content
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert requests.get(stack.url + address, timeout=30).status_code == 401
    for name in ("../x", "..%2f..%2frecords", "none.jpg"):
        assert script.get(f"{address}&variant={name}").status_code == 404


def test_what_shops_send_stays_text(operator: Visitor, stack: Stack, origin: Origin) -> None:
    operator.page.on("dialog", lambda dialog: operator.complaints.append(dialog.message))
    url = origin.url(HOSTILE)
    get(stack, "/get_image", url=url)  # a failure that is remembered, and lines in the log
    for path in (
        "/pages/picture",
        "/pages/picture/delete",
        "/pages/picture/refresh",
        "/pages/playground",
    ):
        operator.allowed.append("404")  # the picture that is not there
        page = operator.go(page_of(url, path))
        assert page.locator("main script").count() == 0
        assert "<script>alert(1)</script>" in page.inner_text("main") or page.locator(
            "input[name=url]"
        ).first.input_value()  # fmt: skip
    operator.allowed.append("400")
    for path in (
        "/pages/picture?url=%3Cscript%3Ealert(1)%3C/script%3E",
        "/?window=%3Cimg%20src=x%3E",
    ):
        page = operator.go(path)
        page.get_by_role("heading", level=1).wait_for()
        assert page.locator("main img, main script").count() == 0


def test_the_playground_shows_what_parameters_make(operator: Visitor, origin: Origin) -> None:
    origin.serve("/play.jpg", jpeg(seed=3))
    page = operator.go("/pages/playground")
    page.get_by_label("url").fill(origin.url("/play.jpg"))
    page.get_by_label("resize_width").fill("100")
    page.locator("#answer").get_by_text("100 × 75").wait_for()
    assert "x-cache" in page.locator("#answer").inner_text()
    page.get_by_label("resize_width").fill("50")
    page.locator("#answer").get_by_text("50 × 38").wait_for()
    assert "resize_width=50" in page.url
    for title in ("curl", "Python", "PHP", "JavaScript", "Signed URL", "<img srcset>"):
        assert page.get_by_role("heading", name=title).is_visible()
    page.get_by_label("Endpoint").select_option("/get_thumbnail")
    page.get_by_label("size", exact=False).first.wait_for()
    page.get_by_label("Endpoint").select_option("/image_info")
    page.locator("#told").get_by_text('"dhash"').wait_for()
    assert "application/json" in page.locator("#answer").inner_text()


def test_the_playgrounds_signed_url_works(script: Script, origin: Origin, stack: Stack) -> None:
    origin.serve("/signed.jpg", jpeg(seed=4))
    page = script.get(page_of(origin.url("/signed.jpg"), "/pages/playground")).text
    found = re.search(r'id="result" src="([^"]+)"', page)
    assert found
    address = stack.url + found[1].replace("&amp;", "&")
    assert requests.get(address, timeout=30).status_code == 200


def test_a_mistake_is_said_beside_the_form(operator: Visitor) -> None:
    page = operator.go("/pages/playground?url=http://shop.example/a.jpg&resize_width=999999")
    assert "resize_width" in page.get_by_role("alert").inner_text()


def test_the_api_is_described_and_can_be_opened(operator: Visitor) -> None:
    page = operator.go("/docs")
    page.locator("#operations-default-get_get_image, [id$=get_get_image]").first.click()
    page.get_by_text("resize_width").first.wait_for()


def test_an_address_that_is_not_there_is_a_page(operator: Visitor) -> None:
    operator.allowed.append("404")
    page = operator.go("/pages/nothing")
    page.get_by_role("heading", name="nothing at this address").wait_for()


def test_a_hidden_tab_asks_for_nothing(operator: Visitor) -> None:
    operator.context.clock.install()
    page = operator.go("/")
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(
        "Object.defineProperty(document, 'hidden', { configurable: true, get: () => true });"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.clock.run_for(120_000)
    assert not asked
    with page.expect_request("**/"):
        page.evaluate(
            "delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))"
        )
