"""What the origin gets for a URL, and what the URL is kept as."""

import pytest

from image_cloud.picture.key import key_of
from tests.frontdoor.client import eventually, get, jpeg, picture, problem
from tests.origin import Origin
from tests.stack.running import Stack

SPELLINGS = [
    (" \r\nhttp://127.0.0.1:{port}/u1/a.jpg \n", "/u1/a.jpg", "127.0.0.1"),
    ("HTTP://127.0.0.1:{port}/u2/x/.%2E/./a.jpg#zoom", "/u2/a.jpg", "127.0.0.1"),
    ("http://127.0.0.1:{port}/u3/{{a}} ä^.jpg?b'", "/u3/%7Ba%7D%20%C3%A4%5E.jpg?b%27", "127.0.0.1"),
    ("http://127.0.0.1:{port}/u4//%zz/%41|[1].jpg?", "/u4//%zz/%41|[1].jpg?", "127.0.0.1"),
    ("http://127.0.0.1:000{port}?u5=b", "/?u5=b", "127.0.0.1"),
    ("http://LOCALHOST:{port}/u6.jpg", "/u6.jpg", "localhost"),
    ("http://localhost.:{port}/u7.jpg", "/u7.jpg", "localhost."),
    ("http://%6cocal%68ost:{port}/u8.jpg", "/u8.jpg", "localhost"),
    ("http://ｌｏｃａｌ\u00adｈｏｓｔ。:{port}/u9.jpg", "/u9.jpg", "localhost."),
]
REFUSED = [
    "http://shop.example\\a.jpg",
    "http://shop.example/a.jpg?b=\\",
    "http://user@shop.example/a.jpg",
    "http://user%40shop.example/a.jpg",
    "http://shop.example/a\nb.jpg",
    "http://shop.example/a\tb.jpg",
    "http://shop.example/\x00",
    "http://127.1/a.jpg",
    "http://0x0a000001/a.jpg",
    "http://010.0.0.1/a.jpg",
    "http://127.0.0.1./a.jpg",
    "http://１２７.0.0.1/a.jpg",
    "http://shop..example/a.jpg",
    "http:/shop.example/a.jpg",
    "http:///shop.example/a.jpg",
]


@pytest.mark.parametrize(("spelling", "target", "host"), SPELLINGS)
def test_the_origin_gets_what_a_browser_sends(
    spelling: str, target: str, host: str, stack: Stack, origin: Origin
) -> None:
    url = spelling.format(port=origin.port)
    origin.serve(target, jpeg(seed=10))
    assert picture(get(stack, "/get_thumbnail", url=url)).size == (200, 150)
    request = origin.requests[-1]
    assert (request.target, request.headers["host"]) == (target, f"{host}:{origin.port}")
    assert get(stack, "/get_thumbnail", url=url).headers["X-Cache"] == "HIT"
    assert get(stack, "/get_image", url=url).headers["X-Cache"] == "HIT"
    assert list((stack.home / "storage/originals").glob(f"??/??/{key_of(url)}.jpg"))


def test_every_spelling_is_a_picture_of_its_own(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/own/a.jpg", jpeg(seed=11))
    spellings = [url, url + " ", url + "\n", url + "#", url.replace("/own", "/./own")]
    answers = [get(stack, "/get_thumbnail", url=one) for one in spellings]
    assert [answer.headers["X-Cache"] for answer in answers] == ["RESIZED"] * 5
    assert origin.count("/own/a.jpg") == 5
    assert get(stack, "/delete_image", "DELETE", url=url + " ").json()["deleted"]
    assert get(stack, "/get_image", url=url, only_send_if_local=1).status_code == 200


@pytest.mark.parametrize("url", REFUSED)
def test_urls_that_are_refused(url: str, stack: Stack) -> None:
    detail = problem(get(stack, "/get_image", url=url), 400, "bad_parameter")["detail"]
    assert detail.startswith("url: ")


@pytest.mark.parametrize("url", ["http://bücher.invalid/a", "http://B%C3%BCcher。invalid/a"])
def test_an_internationalized_name_is_looked_up_as_an_a_label(url: str, stack: Stack) -> None:
    detail = problem(get(stack, "/get_image", url=url), 502, "origin_dns")["detail"]
    assert "xn--bcher-kva.invalid" in detail


def test_the_log_shows_the_a_label(stack: Stack, origin: Origin) -> None:
    url = f"http://ｌｏｃａｌｈｏｓｔ:{origin.port}/logged.jpg"
    origin.serve("/logged.jpg", jpeg(seed=12))
    assert get(stack, "/get_image", url=url).status_code == 200
    logs = list((stack.home / "log").glob("image-cloud-fetch*"))
    line = f"key={key_of(url)} host=localhost "
    eventually(lambda: any(line in log.read_text() for log in logs), "the download is logged")
