"""What nginx refuses by itself, and credentials: problem documents that help, whoever answers."""

from __future__ import annotations

import http.client
import json
import socket
from urllib.parse import quote

import pytest
import requests

from tests.frontdoor.client import DEADLINE_S, eventually, get, jpeg, problem
from tests.origin import Origin
from tests.stack.running import Stack


def send(stack: Stack, data: bytes) -> tuple[int, http.client.HTTPMessage, dict[str, object]]:
    """Send raw bytes; return status, headers and problem document of the answer."""
    host, _, port = stack.listen.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=DEADLINE_S) as sock:
        sock.sendall(data)
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        return answer.status, answer.headers, json.loads(answer.read())


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /get_image HTTP/1.1\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"POST /fire_and_forget HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"TRACE /get_image HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"PUT /health HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Big: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"FROB /health HTTP/1.1\r\nHost: x\r\n\r\n", 501),
        (b"A" * 30 + b" /health HTTP/1.1\r\nHost: x\r\n\r\n", 501),
        (b"FROB /fire_and_forget HTTP/1.1\r\nHost: x\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: frob\r\n\r\n", 501),
        (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505),
    ],
)
def test_what_is_refused_before_any_pool_sees_it(data: bytes, status: int, stack: Stack) -> None:
    came, headers, body = send(stack, data)
    assert (came, body["status"]) == (status, status)
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Request-Id"] == body["request_id"]
    assert body["detail"] != body["title"]
    assert (headers["Allow"] is not None) == (status == 405)


def test_headers_that_gunicorn_would_refuse_reach_no_pool(stack: Stack) -> None:
    many = {f"X-{number}": "x" for number in range(200)}
    odd = {"X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "off", "Expect": "frob"}
    for headers in (many, odd):
        assert get(stack, "/alternative_clouds", headers=headers).status_code == 200


def test_conditions_that_do_not_hold(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/conditional.jpg", jpeg())
    for path in ("/get_image", "/get_thumbnail", "/get_thumbnail"):
        made = get(stack, path, url=url)
        problem(get(stack, path, url=url, headers={"If-Match": '"x"'}), 412, "precondition_failed")
        for same in ({"If-None-Match": made.headers["ETag"]}, {"If-Modified-Since": LATER}):
            assert get(stack, path, url=url, headers=same).status_code == 304
        changed = get(stack, path, url=url, headers={"If-Modified-Since": EARLIER})
        assert changed.content == made.content


EARLIER, LATER = "Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 01 Jan 2036 00:00:00 GMT"


def test_more_than_one_credential_is_refused(stack: Stack, origin: Origin) -> None:
    url = quote(origin.serve("/twice.jpg", jpeg()), "")
    path, token = f"/get_thumbnail?url={url}", stack.token
    good = {"X-Image-Cloud-Token": token}

    def hit() -> bool:
        return requests.get(stack.url + path, headers=good).headers.get("X-Cache") == "HIT"

    eventually(hit, "nginx answers alone")
    bearer = {"Authorization": f"Bearer {token}"}
    problem(requests.get(stack.url + path, headers=good | bearer), 400, "bad_parameter")
    for more in (f"&token={token}", "&token=other", f"&signature={'0' * 64}"):
        for headers in (good, bearer):
            answer = requests.get(stack.url + path + more, headers=headers)
            assert "token: 2 credentials" in problem(answer, 400, "bad_parameter")["detail"]
    twice = f"{path}&token={token}&%74oken={token}"
    assert token not in problem(requests.get(stack.url + twice), 400, "bad_parameter")["detail"]
    header = f"X-Image-Cloud-Token: {token}\r\n".encode()
    for first, second in ((header, header), (header, header.lower())):
        head = b"GET " + path.encode() + b" HTTP/1.1\r\nHost: x\r\n" + first + second + b"\r\n"
        assert send(stack, head)[0] == 400


def test_a_token_in_the_path_is_not_logged(stack: Stack) -> None:
    log = stack.home / "log/nginx/access.log"
    paths = ("/{}", "/get_image/{}", "/get_image%3Ftoken={}", "/get_thumbnail;token={}", "//{}")
    answers = [requests.get(stack.url + path.format("not-to-be-logged")) for path in paths]
    ids = {answer.headers["X-Request-Id"] for answer in answers}
    eventually(lambda: all(one in log.read_text() for one in ids), "all of them are logged")
    assert "not-to-be-logged" not in log.read_text()
