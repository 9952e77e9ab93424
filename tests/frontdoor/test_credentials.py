"""Pictures that were fetched with credentials: shared caches may not keep them, whoever sends them."""

import itertools
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
import requests

from image_cloud.picture.key import key_of
from tests.frontdoor.client import eventually, get, get_raw, jpeg, problem
from tests.origin import Behaviour, Call, Origin
from tests.stack.running import Stack

ADDRESS = "127.0.0.40"
SECRET = "Bearer s3cr3t-value"
PUBLIC, PRIVATE = "public, max-age=86400", "private, max-age=86400"
numbers = itertools.count(1)


def write(stack: Stack, content: object) -> None:
    """Write the file in place: owner and mode stay."""
    (stack.home / "origins.json").write_text(json.dumps(content))


def for_members(content: bytes) -> Behaviour:
    def behaviour(call: Call) -> None:
        if call.request.headers.get("authorization") == SECRET:
            call.reply(content, headers={"Content-Type": "image/jpeg"})
        else:
            call.reply(b"members only", status=403)

    return behaviour


@pytest.fixture
def members(stack: Stack) -> Iterator[Origin]:
    """An origin that wants credentials, and gets them."""
    with Origin(address=ADDRESS) as origin:
        write(stack, {ADDRESS: {"Authorization": SECRET, "credentials_over_http": True}})

        def is_let_in() -> bool:
            url = origin.behave(f"/probe-{next(numbers)}", for_members(jpeg(seed=1)))
            return get(stack, "/get_image", url=url).status_code == 200

        eventually(is_let_in, "the file is read")
        yield origin
    write(stack, {})


@pytest.fixture
def url(members: Origin) -> str:
    number = next(numbers)
    return members.behave(f"/{number}.jpg", for_members(jpeg(320, 240, seed=number)))


def cached(stack: Stack, path: str, **parameters: object) -> tuple[str, str]:
    return sent(get(stack, path, **parameters))


def sent(answer: requests.Response) -> tuple[str, str]:
    assert answer.status_code == 200, answer.text
    return answer.headers["X-Cache"], answer.headers["Cache-Control"]


def test_the_original_is_private(stack: Stack, url: str) -> None:
    assert cached(stack, "/get_image", url=url) == ("MISS", PRIVATE)
    assert cached(stack, "/get_image", url=url) == ("HIT", PRIVATE)
    assert cached(stack, "/get_image", url=url, only_send_if_local="true") == ("HIT", PRIVATE)


def test_variants_are_private_whoever_sends_them(stack: Stack, url: str) -> None:
    wanted = [
        ("/get_thumbnail", {"size": 100}),
        ("/iproxy.php", {"size": 400}),
        ("/get_image", {"resize_width": 64}),
        ("/get_image", {"resize_height": 48, "format_when_resize": "png"}),
    ]
    for path, parameters in wanted:
        first = cached(stack, path, url=url, **parameters)
        assert first in [("RESIZED", PRIVATE), ("MISS", PRIVATE)]
        for _ in range(2):
            assert cached(stack, path, url=url, **parameters) == ("HIT", PRIVATE)
        # An escaped name is the front pool's business.
        odd = f"{path}?%75rl={quote(url, safe='')}&{urlencode(parameters)}"
        assert sent(get_raw(stack, odd)) == ("HIT", PRIVATE)


def test_nginx_sends_a_private_thumbnail_alone(stack: Stack, url: str) -> None:
    cached(stack, "/get_thumbnail", url=url)

    def sent_alone() -> list[requests.Response]:
        """Return a whole answer, an unchanged one, a part; nothing if a token had to be asked for."""
        whole = get(stack, "/get_thumbnail", url=url)
        with stack.without("image-cloud-front"):
            tag = {"If-None-Match": whole.headers.get("ETag", "")}
            answers = [
                get(stack, "/get_thumbnail", url=url, headers=headers)
                for headers in ({}, tag, {"Range": "bytes=0-9"})
            ]
        eventually(lambda: get(stack, "/ready").status_code == 200, "front is back")
        return answers if all(one.status_code < 500 for one in answers) else []

    whole, unchanged, part = eventually(sent_alone, "nginx sends it alone")
    assert [one.status_code for one in (whole, unchanged, part)] == [200, 304, 206]
    assert {one.headers["Cache-Control"] for one in (whole, unchanged, part)} == {PRIVATE}
    assert whole.content == get(stack, "/get_thumbnail", url=url).content


def test_what_is_public_stays_so(stack: Stack, members: Origin, origin: Origin) -> None:
    url = origin.serve("/public.jpg", jpeg(seed=3))
    for path in ("/get_image", "/get_thumbnail"):
        for _ in range(3):
            assert cached(stack, path, url=url)[1] == PUBLIC


def test_the_files_names_say_it(stack: Stack, url: str) -> None:
    cached(stack, "/get_thumbnail", url=url)
    key = key_of(url)
    found = {path.name for path in (stack.home / "storage").glob(f"*/??/??/{key}*")}
    assert found >= {f"{key}.private.jpg", f"{key}.private"}
    assert not found & {f"{key}.jpg", key}


def test_a_delete_removes_it_all(stack: Stack, url: str) -> None:
    cached(stack, "/get_thumbnail", url=url)
    assert get(stack, "/delete_image", method="DELETE", url=url).json()["deleted"] is True
    key = key_of(url)
    assert not list((stack.home / "storage/originals").glob(f"??/??/{key}*"))
    assert not list((stack.home / "storage/variants").glob(f"??/??/{key}*"))
    problem(get(stack, "/get_image", url=url, only_send_if_local="true"), 404, "not_local")


def test_a_wrong_file_changes_nothing_and_is_told(stack: Stack, members: Origin) -> None:
    write(stack, {ADDRESS: {"Host": SECRET}})
    checked = subprocess.run(
        [stack.checkout / ".venv/bin/image-cloud", "config", "check"],
        env=stack.env(), capture_output=True, text=True,
    )  # fmt: skip
    assert checked.returncode == 1
    assert f"'{ADDRESS}': 'Host'" in checked.stderr

    def is_told() -> bool:
        new = members.behave(f"/{next(numbers)}.jpg", for_members(jpeg(seed=4)))
        assert get(stack, "/get_image", url=new).status_code == 200
        return "event=origins_refused" in log_of(stack)

    eventually(is_told, "the log says that the file is refused")
    assert SECRET not in checked.stderr + log_of(stack)


def log_of(stack: Stack) -> str:
    return "".join(path.read_text() for path in Path(stack.home / "log").glob("image-cloud-fetch*"))
