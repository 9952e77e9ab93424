"""nginx with no pool behind it: the problem, or with `fallback=true` another picture."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from image_cloud.config import load_config
from image_cloud.fetch.fallback_files import FallbackFiles
from image_cloud.fetch.placeholder import GREY_PNG
from image_cloud.node_files import nginx as nginx_files
from image_cloud.node_files.accounts import Account
from image_cloud.node_files.home import Home
from image_cloud.picture.variant import Recipe
from tests.frontdoor.client import eventually, problem
from tests.stack.running import CHECKOUT, free_port

SMALL, WIDE = b"\xff\xd8\xff the thumbnail of 200 px", b"\xff\xd8\xff 90 x 40"
URL = "http://shop.example/a.jpg"
GOOD = {"url": URL, "fallback": "true"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of such an nginx; the fetch pool has left its files."""
    home, listen = Home(tmp_path_factory.mktemp("alone")), f"127.0.0.1:{free_port()}"
    settings = f"node.listen={listen};download.sample_origin=127.0.0.1:{free_port()}"
    config = load_config(
        None, home=str(home.root), overrides=f"{settings};http.fallback_status=404"
    )
    storage = Path(config.storage.path)
    storage.mkdir(parents=True)
    files = FallbackFiles(storage)
    files.publish(GREY_PNG, "png")
    files.keep(Recipe(200, 200), SMALL)
    files.keep(Recipe(90, 40, "pad"), WIDE)
    me = pwd.getpwuid(os.geteuid())
    user = Account(me.pw_name, me.pw_uid, me.pw_gid)
    for planned in nginx_files.plan(home, config, CHECKOUT, user):
        planned.path.parent.mkdir(parents=True, exist_ok=True)
        planned.path.write_text(planned.text)
    for folder in (home.nginx_temp, home.nginx_log):
        folder.mkdir(parents=True)
    with _running(home, f"http://{listen}"):
        yield f"http://{listen}"


@contextlib.contextmanager
def _running(home: Home, base: str) -> Iterator[None]:
    command = ["nginx", "-e", "stderr", "-p", str(home.nginx), "-c", str(home.nginx / "nginx.conf")]
    if os.geteuid() == 0:
        command += ["-g", "user root;"]
    process = subprocess.Popen(command, env={"PATH": f"{os.environ['PATH']}:/usr/sbin"})
    try:
        eventually(lambda: _answers(base), "nginx answers", 20.0)
        yield
    finally:
        process.terminate()
        process.wait(20)


def _answers(base: str) -> bool:
    with contextlib.suppress(requests.ConnectionError):
        return requests.get(base, timeout=5).status_code > 0
    return False


def ask(
    base: str, path: str, query: dict[str, Any], method: str = "GET", **headers: str
) -> requests.Response:
    sent = {"X-Image-Cloud-Token": "some-token"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return requests.request(method, base + path, params=query, headers=sent, timeout=20)


def check(answer: requests.Response, content: bytes) -> None:
    """Check what all such pictures have in common."""
    assert (answer.status_code, answer.headers["X-Cache"]) == (404, "FALLBACK"), answer.text
    assert answer.content == content
    kind = "image/png" if content == GREY_PNG else "image/jpeg"
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Cache-Control"] == "max-age=60"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert len(answer.headers["X-Request-Id"]) == 32
    gone = {"ETag", "Last-Modified", "Retry-After", "Accept-Ranges", "Content-Range"}
    assert not gone & set(answer.headers)


@pytest.mark.parametrize(
    ("path", "query", "content"),
    [
        ("/get_thumbnail", {}, SMALL),
        ("/iproxy.php", {"size": 200}, SMALL),
        ("/get_thumbnail", {"size": 400}, GREY_PNG),
        ("/get_thumbnail", {"format": "auto"}, GREY_PNG),
        ("/get_image", {}, GREY_PNG),
        ("/get_image", {"resize_width": 200, "resize_height": 200}, SMALL),
        ("/get_image", {"resize_width": 90, "resize_height": 40, "resize_mode": "pad"}, WIDE),
        ("/get_image", {"resize_width": 91}, GREY_PNG),
        ("/get_image", {"only_send_if_local": 1, "max_age": 60, "quality": 3}, GREY_PNG),
        ("/get_image", {"trim": "true"}, GREY_PNG),
    ],
)
def test_another_picture(base: str, path: str, query: dict[str, Any], content: bytes) -> None:
    for word in ("true", "1", "TRUE"):
        check(ask(base, path, {"url": URL, "fallback": word, **query}), content)
    head = ask(base, path, GOOD | query, "HEAD")
    assert (head.status_code, head.content, head.headers["X-Cache"]) == (404, b"", "FALLBACK")
    unconditional = {"If_None_Match": "*", "Range": "bytes=0-3", "If_Match": '"x"'}
    check(ask(base, path, GOOD | query, **unconditional), content)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/get_thumbnail", {"url": URL}),
        ("/get_thumbnail", {"url": URL, "fallback": "false"}),
        ("/get_thumbnail", {"url": URL, "fallback": "maybe"}),
        ("/get_thumbnail", GOOD | {"size": 3}),
        ("/get_thumbnail", GOOD | {"format": "png"}),
        ("/get_thumbnail", {"fallback": "true"}),
        ("/get_image", GOOD | {"url": "ftp://shop.example/"}),
        ("/get_image", GOOD | {"url": ""}),
        ("/get_image", GOOD | {"no_image": "true"}),
        ("/get_image", GOOD | {"resize_width": "x"}),
        ("/get_image", GOOD | {"quality": 0}),
        ("/get_image", GOOD | {"resize_mode": "pad"}),
        ("/get_image", GOOD | {"max_age": -1}),
        ("/get_image", GOOD | {"trim": "maybe"}),
        ("/get_image", GOOD | {"token": "another"}),
        ("/image_info", GOOD),
        ("/alternative_clouds", GOOD),
    ],
)
def test_who_does_not_want_it_or_has_to_mend_the_request(
    base: str, path: str, query: dict[str, Any]
) -> None:
    assert problem(ask(base, path, query), 503, "busy")
    assert ask(base, path, query).headers["Retry-After"]


def test_only_for_requests_with_a_credential(base: str) -> None:
    problem(requests.get(base + "/get_image", GOOD, timeout=20), 503, "busy")
    check(requests.get(base + "/get_image", GOOD | {"token": "t"}, timeout=20), GREY_PNG)
    signed = GOOD | {"expires": "9999999999", "client": "web", "signature": "0" * 64}
    answer = requests.get(base + "/get_image", signed, timeout=20)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (404, "no-store")


def test_other_methods_and_addresses(base: str) -> None:
    problem(ask(base, "/get_image", GOOD, "POST"), 503, "busy")
    problem(ask(base, "/_fallback_file", {}), 404, "no_such_address")
