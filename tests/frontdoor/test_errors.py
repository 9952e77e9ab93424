"""The error table, tokens and signatures, through the front door."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import requests

from tests import origin as behave
from tests.frontdoor.client import DEADLINE_S, eventually, get, get_raw, jpeg, problem
from tests.origin import Gate, Origin, redirect
from tests.stack.running import Stack


@pytest.mark.parametrize("path", ["/get_image", "/get_thumbnail", "/iproxy.php"])
@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "url: missing"),
        ("url=", "url: "),
        ("url=no-scheme", "url: "),
        ("url=http://a/%zz", "url: "),
        ("url=http://a/&url=http://a/", "url: given 2 times"),
        ("url=http://u:p@a/", "url: "),
        ("url=http://a%5cb/", "url: "),
        ("url=http://a:0/", "url: "),
    ],
)
def test_bad_parameters(path: str, query: str, names: str, stack: Stack) -> None:
    answer = get_raw(stack, f"{path}?{query}")
    assert names in problem(answer, 400, "bad_parameter")["detail"]


@pytest.mark.parametrize(
    ("path", "parameters", "says"),
    [
        ("/get_thumbnail", {"size": 201}, "100, 200, 250, 400, 800"),
        ("/get_image", {"resize_width": 5001}, "1 to 5000"),
        ("/get_image", {"quality": 0}, "1 to 100"),
        ("/get_image", {"keep_aspect_ratio": "yes"}, "true, false, 1, 0"),
        ("/get_image", {"format_when_resize": "exe"}, "jpeg, png"),
        ("/get_image", {"force_to_size": "true", "resize_width": 5}, "resize_height"),
    ],
)
def test_out_of_range(
    path: str, parameters: dict[str, Any], says: str, stack: Stack, origin: Origin
) -> None:
    answer = get(stack, path, url=origin.serve("/a.jpg", jpeg()), **parameters)
    detail = problem(answer, 400, "bad_parameter")["detail"]
    assert says in detail
    assert detail.startswith(next(iter(parameters)))


@pytest.mark.parametrize("url", [
    "ftp://example.com/a.jpg", "file:///etc/passwd", "http://10.0.0.1/a.jpg", "http://[fd00::1]/a.jpg",
    "http://169.254.169.254/latest/meta-data", "http://[::ffff:10.0.0.1]/", "http://127.0.0.1:5432/",
])  # fmt: skip
def test_urls_that_may_not_be_fetched(url: str, stack: Stack) -> None:
    problem(get(stack, "/get_image", url=url), 403, "url_forbidden")


def test_a_redirect_to_a_forbidden_address(stack: Stack, origin: Origin) -> None:
    url = origin.behave("/r", redirect("http://192.168.0.1/a.jpg"))
    problem(get(stack, "/get_image", url=url), 403, "url_forbidden")


def test_a_redirect_to_a_picture(stack: Stack, origin: Origin) -> None:
    content = jpeg(seed=5)
    origin.serve("/there.jpg", content)
    assert (
        get(stack, "/get_image", url=origin.behave("/here", redirect("/there.jpg"))).content
        == content
    )


WHOLE = jpeg(seed=9)
BEHAVIOURS = [
    ("404", behave.answer(404), 404, "origin_not_found", 404),
    ("410", behave.answer(410), 404, "origin_not_found", 410),
    ("500", behave.answer(500), 502, "origin_status", 500),
    ("429", behave.answer(429, {"Retry-After": "70"}), 502, "origin_status", 429),
    ("206", behave.answer(206, body=WHOLE), 502, "origin_status", 206),
    ("html", behave.html, 422, "not_an_image", None),
    ("empty", behave.answer(200), 422, "not_an_image", None),
    ("short", behave.short_body(WHOLE[:500], len(WHOLE)), 502, "origin_reset", None),
    ("cut", behave.without_length(WHOLE[:-100]), 422, "truncated_image", None),
    ("brotli", behave.brotli, 502, "origin_protocol", None),
    ("loop", redirect("/loop"), 502, "too_many_redirects", None),
    ("forbidden", redirect("http://192.168.0.1/a.jpg"), 403, "url_forbidden", None),
    ("noai", behave.answer(200, {"X-Robots-Tag": "noai"}, WHOLE), 403, "robots_refused", 200),
    ("reset", behave.reset, 502, "origin_reset", None),
    ("silent", behave.silent, 504, "origin_timeout", None),
    ("drip-body", behave.drip_body(), 504, "origin_timeout", None),
    ("drip-headers", behave.drip_headers(), 504, "origin_timeout", None),
    ("endless-headers", behave.endless_headers, 502, "origin_protocol", None),
    ("endless", behave.endless_body, 413, "too_many_bytes", None),
    ("svg", behave.answer(200, body=b"<svg xmlns='http://www.w3.org/2000/svg'/>"), 422, "not_an_image", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "behaviour", "status", "code", "upstream"),
    BEHAVIOURS,
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_what_origins_do_wrong(
    name: str,
    behaviour: behave.Behaviour,
    status: int,
    code: str,
    upstream: int | None,
    stack: Stack,
    origin: Origin,
) -> None:
    url = origin.behave(f"/{name}", behaviour)
    first = get(stack, "/get_image", url=url)
    body = problem(first, status, code)
    assert body.get("upstream_status") == upstream
    asked = origin.count(f"/{name}")
    again = get(stack, "/get_thumbnail", url=url)
    problem(again, status, code)
    assert origin.count(f"/{name}") == asked, "a remembered failure must not reach the origin"
    assert int(again.headers["Retry-After"]) >= (60 if name == "429" else 1)


def test_a_refused_connection(stack: Stack) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/a.jpg"
        problem(get(stack, "/get_image", url=url), 502, "origin_refused")


def test_a_name_that_does_not_exist(stack: Stack) -> None:
    problem(get(stack, "/get_image", url="http://no-such-host.invalid/a.jpg"), 502, "origin_dns")


def test_not_local(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/a.jpg", jpeg())
    problem(get(stack, "/get_image", url=url, only_send_if_local="true"), 404, "not_local")
    assert origin.count("/a.jpg") == 0
    get(stack, "/get_image", url=url)
    assert get(stack, "/get_image", url=url, only_send_if_local="true").status_code == 200


def test_a_hundred_requests_are_one_download(stack: Stack, origin: Origin) -> None:
    content = jpeg(seed=11)
    gate = Gate(lambda call: call.reply(content))
    url = origin.behave("/popular.jpg", gate)
    with ThreadPoolExecutor(100) as pool:
        answers = [pool.submit(get, stack, "/get_image", url=url) for _ in range(100)]
        gate.await_arrival()
        gate.open()
        assert {answer.result().content for answer in answers} == {content}
    assert origin.count("/popular.jpg") == 1


def test_a_hundred_requests_share_one_failure(stack: Stack, origin: Origin) -> None:
    gate = Gate(behave.answer(500))
    url = origin.behave("/broken.jpg", gate)
    with ThreadPoolExecutor(100) as pool:
        answers = [pool.submit(get, stack, "/get_thumbnail", url=url) for _ in range(100)]
        gate.await_arrival()
        gate.open()
        assert {answer.result().status_code for answer in answers} == {502}
    assert origin.count("/broken.jpg") == 1


# --- tokens --------------------------------------------------------------------------------------


def test_without_a_token_nothing_but_health(stack: Stack) -> None:
    for path in (
        "/get_image?url=http://a/",
        "/get_thumbnail",
        "/iproxy.php",
        "/nowhere",
        "/metrics",
        "/",
    ):
        problem(requests.get(stack.url + path), 401, "token_missing")
        problem(
            requests.get(stack.url + path, headers={"X-Image-Cloud-Token": "x" * 40}),
            401,
            "token_unknown",
        )
    assert requests.get(stack.url + "/health").status_code == 200
    ready = eventually(
        lambda: (it := requests.get(stack.url + "/ready")).json()["status"] == "ok" and it,
        "it is well",
    )
    assert (ready.status_code, ready.json()) == (200, {"status": "ok"})
    assert get(stack, "/ready").json()["database"] == "ok"


def test_the_ways_to_send_a_token(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/a.jpg", jpeg())
    address = f"{stack.url}/get_image?url={quote(url)}"
    for headers in (
        {"Authorization": f"Bearer {stack.token}"},
        {"X-Image-Cloud-Token": stack.token},
    ):
        assert requests.get(address, headers=headers).status_code == 200
    assert requests.get(f"{address}&token={stack.token}").status_code == 200
    assert "token" not in json.dumps([r.headers | {"t": r.target} for r in origin.requests])


def test_scopes(stack: Stack) -> None:
    token = stack.cli("token", "add", "only-ops", "ops").strip()
    headers = {"X-Image-Cloud-Token": token}

    def answer() -> requests.Response:
        return requests.get(f"{stack.url}/get_image?url=http://a/", headers=headers)

    eventually(lambda: answer().status_code == 403, "the token is known")
    problem(answer(), 403, "scope_missing")
    stack.cli("token", "revoke", "only-ops")
    eventually(lambda: answer().status_code == 401, "the token is revoked")


def test_signed_urls(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/signed.jpg", jpeg())
    stack.cli("token", "add", "page", "read")
    path = "/get_thumbnail?" + urlencode({"url": url, "size": 100})
    signed = stack.cli("sign", "--client", "page", "--expires", "1 h", path).strip()
    assert signed.startswith(stack.url)
    eventually(lambda: requests.get(signed).status_code == 200, "the client is known")
    problem(requests.get(signed + "&x=1"), 403, "bad_signature")
    problem(requests.get(signed.replace("size=100", "size=200")), 403, "bad_signature")
    problem(requests.get(signed.replace("/get_thumbnail", "/iproxy.php")), 403, "bad_signature")
    short = stack.cli("sign", "--client", "page", "--expires", "1 s", path).strip()
    eventually(lambda: requests.get(short).status_code == 403, "the signature has expired")
    problem(requests.get(short), 403, "signature_expired")
    stack.cli("token", "revoke", "page")
    eventually(lambda: requests.get(signed).status_code == 403, "the client is gone")


def test_methods_and_internal_addresses(stack: Stack) -> None:
    assert get(stack, "/get_image", "PUT", url="http://a/").status_code == 405
    for path in (
        "/_fetch?url=http://a/",
        "/_variant?url=http://a/",
        "/_resize",
        "/_files/tokens.json",
        "/_files/../x",
    ):
        problem(get_raw(stack, path), 404, "no_such_address")
    for path in ("/nowhere", "///_fetch", "/%2f_fetch", "/x/..//_variant"):
        forged = {"X-Image-Cloud-Internal": "1", "X-Image-Cloud-Token": stack.token}
        answer = requests.Request("GET", stack.url, headers=forged).prepare()
        answer.url = stack.url + path
        problem(requests.Session().send(answer), 404, "no_such_address")


def test_requests_that_are_no_http(stack: Stack) -> None:
    host, port = stack.url.removeprefix("http://").split(":")
    for data, status in [
        (b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"414"),
    ]:
        with socket.create_connection((host, int(port)), timeout=DEADLINE_S) as sock:
            sock.sendall(data)
            assert status in sock.makefile("rb").readline()


@pytest.mark.parametrize("name", ["X-Image-Cloud-Token", "Authorization", "Cookie", "Accept"])
@pytest.mark.parametrize("path", ["/", "/health", "/get_image?url=http://a/", "/fire_and_forget"])
def test_control_characters_in_a_header_are_a_problem_document(
    stack: Stack, name: str, path: str
) -> None:
    host, port = stack.url.removeprefix("http://").split(":")
    head = (
        f"{'POST' if 'fire' in path else 'GET'} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=DEADLINE_S) as sock:
        sock.sendall(f"{head}{name}: Bearer a\x01\r\nConnection: close\r\n\r\n".encode())
        header, _, body = sock.makefile("rb").read().partition(b"\r\n\r\n")
    status = int(header.split()[1])
    assert status in (200, 400, 401)
    if status >= 400:
        assert b"cache-control: no-store" in header.lower()
        assert json.loads(body)["request_id"].encode() in header


def test_no_secret_in_any_log(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/secret.jpg", jpeg())
    stack.cli("token", "add", "signer", "read")
    signed = stack.cli(
        "sign", "--client", "signer", f"/get_image?{urlencode({'url': url})}"
    ).strip()
    signature = signed.rpartition("signature=")[2]
    secrets = [stack.token, signature, "wrong" * 9]
    for path in ("/get_image", "/get_thumbnail", "/nowhere", "/_fetch", "/health"):
        for token in (stack.token, "wrong" * 9):
            for bad in ({}, {"url": url}, {"url": "http://127.0.0.1:1/"}):
                requests.get(stack.url + path, params={**bad, "token": token})
                requests.get(
                    stack.url + path, params=bad, headers={"Authorization": f"Bearer {token}"}
                )
    requests.get(signed)
    requests.get(f"{stack.url}/{'x' * 40000}?token={stack.token}")
    stack.supervisorctl("restart", "image-cloud-front")
    while_down = requests.get(f"{stack.url}/get_image?token={stack.token}")
    assert while_down.status_code in (200, 400, 503)
    eventually(lambda: get(stack, "/get_image", url=url).status_code == 200, "front is back")
    logs = stack.home / "log"
    identity = requests.get(f"{stack.url}/health").headers["X-Request-Id"]
    eventually(
        lambda: identity in (logs / "nginx" / "access.log").read_text(), "the access log is written"
    )
    for file in logs.rglob("*"):
        for secret in secrets if file.is_file() else ():
            lines = [line for line in file.read_bytes().splitlines() if secret.encode() in line]
            assert not lines, f"in {file.name}: {lines[0][:200]!r}"
