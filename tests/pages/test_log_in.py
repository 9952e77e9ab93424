"""Logging in and out: who gets a session, what it opens, and when it ends."""

from __future__ import annotations

import json
import stat

import pytest
import requests

from tests.frontdoor.client import eventually, problem
from tests.pages.asking import HTML, Script
from tests.pages.conftest import Visitor
from tests.stack.running import Stack

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@pytest.fixture
def script(stack: Stack) -> Script:
    return Script(stack)


def test_a_token_opens_the_pages_in_a_browser(visitor: Visitor, stack: Stack) -> None:
    visitor.log_in(stack.token)
    visitor.page.get_by_role("heading", name="Overview").wait_for()
    visitor.page.get_by_role("button", name="Log out").click()
    visitor.page.get_by_label("Token").wait_for()
    assert visitor.go("/").url.endswith("/login")


def test_a_page_sends_to_the_log_in_and_from_there_back(visitor: Visitor, stack: Stack) -> None:
    page = visitor.go("/?some=thing")
    assert "/login" in page.url
    page.get_by_label("Token").fill(stack.token)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Overview").wait_for()


def test_a_wrong_token_is_told_so(visitor: Visitor) -> None:
    visitor.allowed.append("401")
    page = visitor.log_in("wrong-token-of-somebody")
    assert "unknown" in page.get_by_role("alert").inner_text()
    assert "wrong-token-of-somebody" not in page.content()


def test_the_cookie_is_random_and_for_this_site_alone(script: Script, stack: Stack) -> None:
    before = script.get("/login")
    first = script.cookie
    answer = script.log_in(stack.token)
    assert answer.status_code == 303
    said = answer.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=28800"} <= set(said.split("; "))
    assert "Secure" not in said
    assert script.cookie != first, "the id of before the log-in must not become a session"
    assert len(script.cookie) == 43
    assert before.headers["Content-Security-Policy"] == POLICY
    kept = stack.home / "run/pools/sessions"
    assert stat.S_IMODE(kept.stat().st_mode) & 0o777 == 0o700
    for file in kept.glob("*.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        text = file.name + file.read_text()
        assert script.cookie not in text
        assert stack.token not in text


def test_tls_makes_the_cookie_secure(script: Script, stack: Stack) -> None:
    fields = {"form_token": script.form_token(), "token": stack.token}
    origin = stack.url.replace("http://", "https://")
    answer = script.post("/login", fields, headers={"Origin": origin})
    assert "Secure" in answer.headers["Set-Cookie"].split("; ")


def test_what_needs_no_token_is_the_log_in_and_its_assets(stack: Stack) -> None:
    for path in ("/login", "/assets/pages.css", "/assets/vendor/pico.min.css", "/assets/icon.svg",
                 "/favicon.ico"):  # fmt: skip
        answer = requests.get(stack.url + path, timeout=30)
        assert answer.status_code == 200
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert requests.get(stack.url + "/assets/../node.conf", timeout=30).status_code != 200
    problem(requests.get(stack.url + "/", timeout=30), 401, "token_missing")
    there = requests.get(stack.url + "/", headers=HTML, timeout=30, allow_redirects=False)
    assert (there.status_code, there.headers["Location"]) == (303, "/login")


@pytest.mark.parametrize(
    "path", ["/assets/", "/assets/vendor", "/assets/vendor/", "/assets/none.js"]
)
def test_folders_of_assets_are_not_there(stack: Stack, path: str) -> None:
    answer = requests.get(stack.url + path, timeout=30, allow_redirects=False)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_address")


def test_a_slash_at_the_end_of_an_address_is_forgiven(script: Script, stack: Stack) -> None:
    assert "Token" in script.get("/login/").text
    script.log_in(stack.token)
    assert script.get("/docs/").status_code == 200
    for path in ("/pages", "/pages/"):
        answer = script.get(path)
        assert (answer.status_code, "<h1>" in answer.text) == (404, True)


def test_assets_are_asked_for_again_and_not_sent_again(stack: Stack) -> None:
    first = requests.get(stack.url + "/assets/pages.js", timeout=30)
    assert first.headers["Cache-Control"] == "no-cache"
    known = {"If-None-Match": first.headers["ETag"]}
    assert (
        requests.get(stack.url + "/assets/pages.js", headers=known, timeout=30).status_code == 304
    )


def test_the_cookie_opens_no_route_of_the_api(script: Script, stack: Stack) -> None:
    script.log_in(stack.token)
    assert script.get("/").status_code == 200
    for path in ("/get_image?url=http://x.example/a", "/node_status", "/explain?url=http://x/a", "/domains",
                 "/get_thumbnail?url=http://x.example/a", "/metrics", "/openapi.json"):  # fmt: skip
        problem(script.get(path), 401, "token_missing")


@pytest.mark.parametrize("name", ["X-Image-Cloud-Token", "Authorization"])
def test_a_program_reads_pages_with_a_token(name: str, stack: Stack) -> None:
    def get(path: str, token: str, method: str = "GET") -> requests.Response:
        value = f"Bearer {token}" if name == "Authorization" else token
        return requests.request(method, stack.url + path, headers={name: value}, timeout=30)

    for path in ("/", "/docs", "/pages/domains", "/pages/playground", "/pages/docs/openapi.json"):
        assert get(path, stack.token).status_code == 200
        assert get(path, stack.token, "HEAD").status_code == 200
    shown = get("/", stack.token)
    assert not shown.cookies
    log = stack.home / "log/nginx/access.log"
    line = eventually(
        lambda: next((one for one in log.read_text().splitlines()
                      if shown.headers["X-Request-Id"] in one), ""), "it is logged",
    )  # fmt: skip
    assert json.loads(line)["token_client"] == "first"
    assert "X-Image-Cloud-Token-Client" not in shown.headers
    problem(get("/", "wrong-token-of-somebody"), 401, "token_unknown")
    problem(get("/pages/domains", stack.token, "POST"), 401, "token_missing")


def test_a_token_without_ops_opens_nothing(script: Script, stack: Stack) -> None:
    reader = stack.cli("token", "add", "reader-of-pages", "read").split()[-1]
    assert script.log_in(reader).status_code == 401
    assert script.get("/").status_code == 303
    with_token = requests.get(stack.url + "/", headers={"X-Image-Cloud-Token": reader}, timeout=30)
    problem(with_token, 403, "scope_missing")
    stack.cli("token", "revoke", "reader-of-pages")


def test_a_session_dies_with_its_token(visitor: Visitor, stack: Stack) -> None:
    token = stack.cli("token", "add", "leaver", "ops").split()[-1]
    visitor.log_in(token)
    visitor.page.get_by_role("heading", name="Overview").wait_for()
    stack.cli("token", "revoke", "leaver")
    visitor.page.wait_for_url("**/login*", timeout=30_000)  # by the page's own poll
    stack.cli("token", "add", "leaver", "ops")  # the same name with another token
    assert "/login" in visitor.go("/").url
    stack.cli("token", "revoke", "leaver")


def test_a_session_outlives_the_pool(script: Script, stack: Stack) -> None:
    script.log_in(stack.token)
    stack.supervisorctl("restart", "image-cloud-control")
    eventually(lambda: script.get("/").status_code == 200, "the pool is back, the session stands")


def test_logging_out_ends_the_session_itself(script: Script, stack: Stack) -> None:
    script.log_in(stack.token)
    kept = script.cookie
    script.post("/logout", {"form_token": script.form_token("/")})
    script.session.cookies.clear()
    old = {"Cookie": f"image_cloud_ic00={kept}", **HTML}
    assert script.get("/", headers=old).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_a_form_from_elsewhere_is_refused(
    script: Script, stack: Stack, headers: dict[str, str]
) -> None:
    fields = {"form_token": script.form_token(), "token": stack.token}
    answer = script.post("/login", fields, headers=headers)
    assert answer.status_code == 403
    assert "foreign_origin" in answer.text
    assert script.get("/").status_code == 303


@pytest.mark.parametrize("given", ["", "0" * 64, "é" * 64])
def test_a_form_without_its_token_is_refused(script: Script, stack: Stack, given: str) -> None:
    script.form_token()
    answer = script.post("/login", {"form_token": given, "token": stack.token})
    assert answer.status_code == 403
    assert "form_expired" in answer.text
    script.log_in(stack.token)
    assert script.post("/logout", {"form_token": given}).status_code == 403
    assert script.get("/").status_code == 200


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", ""],
)
def test_the_log_in_leads_to_no_other_site(script: Script, stack: Stack, wanted: str) -> None:
    assert script.log_in(stack.token, wanted).headers["Location"] == "/"


def test_many_wrong_tokens_have_to_wait(script: Script, stack: Stack) -> None:
    """Last in this file: whoever comes from this address has to wait after it."""
    for _ in range(40):
        answer = script.log_in("wrong-token-of-somebody")
        if answer.status_code == 429:
            break
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1
    assert "too_many_attempts" in answer.text
    assert script.log_in(stack.token).status_code == 429, "a right token must not tell"
    stack.supervisorctl("restart", "image-cloud-control")
    eventually(lambda: script.get("/login").status_code == 200, "the pool is back")
