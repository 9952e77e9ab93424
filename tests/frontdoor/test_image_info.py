"""GET /image_info: what is known of a picture, sentence by sentence."""

from __future__ import annotations

import hashlib
import io
import json
import time
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from PIL import Image, ImageOps

from image_cloud.picture.key import fan_out, key_of
from tests import origin as behave
from tests.frontdoor.client import DEADLINE_S, eventually, get, jpeg, problem
from tests.origin import Origin, Versions
from tests.stack.running import Stack
from tests.unit.test_resize_facts import reference

FIELDS = {
    "url", "key", "format", "width", "height", "bytes", "sha256", "stored_at", "checked_at",
    "stored_from", "origin", "animated", "has_alpha", "orientation", "average_colour", "dhash",
}  # fmt: skip
DATE = "Wed, 25 Nov 2026 10:00:00 GMT"


def info(stack: Stack, url: str, **parameters: Any) -> dict[str, Any]:
    answer = get(stack, "/image_info", url=url, **parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Request-Id"]
    told: dict[str, Any] = answer.json()
    assert set(told) == FIELDS
    return told


def facts_file(stack: Stack, url: str) -> Any:
    key = key_of(url)
    return stack.home / "storage/variants" / fan_out(key) / key / "facts.json"


def test_everything_that_is_named(stack: Stack, origin: Origin) -> None:
    content = jpeg(320, 200, seed=31)
    url = origin.behave("/info.jpg", Versions(content, ETag='"one"', Last_Modified=DATE))
    before = time.time()
    first = get(stack, "/image_info", url=url)
    assert (first.status_code, first.headers["X-Cache"]) == (200, "MISS"), first.text
    told = info(stack, url)
    assert told == first.json()
    shown = Image.open(io.BytesIO(content))
    assert before - 1 <= told.pop("stored_at") <= time.time()
    assert before - 1 <= told.pop("checked_at") <= time.time()
    red, green, blue = bytes.fromhex(told.pop("average_colour"))
    mean = shown.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert all(abs(a - b) <= 2 for a, b in zip((red, green, blue), mean, strict=True))
    assert told == {
        "url": url, "key": key_of(url), "format": "jpeg", "width": 320, "height": 200,
        "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(),
        "stored_from": "origin", "origin": {"etag": '"one"', "last_modified": DATE},
        "animated": False, "has_alpha": False, "orientation": 1, "dhash": reference(shown),
    }  # fmt: skip


def test_facts_are_made_once_and_kept_like_a_variant(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/once.jpg", jpeg(300, 200, seed=32))
    told = info(stack, url)
    file = facts_file(stack, url)
    made_at = file.stat().st_mtime_ns
    again = get(stack, "/image_info", url=url)
    assert (again.json(), again.headers["X-Cache"]) == (told, "HIT")
    assert file.stat().st_mtime_ns == made_at
    file.unlink()  # evicted
    assert info(stack, url) == told
    assert json.loads(file.read_text())["dhash"] == told["dhash"]
    assert get(stack, "/get_image", url=url).headers["X-Cache"] == "HIT"
    assert origin.count("/once.jpg") == 1


def test_a_new_version_has_facts_of_its_own(stack: Stack, origin: Origin) -> None:
    shop = Versions(jpeg(300, 200, seed=33))
    url = origin.behave("/versions.jpg", shop)
    before = info(stack, url)
    shop.put(jpeg(200, 300, seed=900))
    assert get(stack, "/refresh_image", "POST", url=url).json()["changed"]
    after = info(stack, url)
    assert (after["width"], after["height"]) == (200, 300)
    assert after["sha256"] != before["sha256"]
    assert after["dhash"] != before["dhash"]


def test_a_deleted_picture_leaves_no_facts(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/deleted.jpg", jpeg(300, 200, seed=34))
    info(stack, url)
    assert get(stack, "/delete_image", "DELETE", url=url).json()["deleted"]
    assert not facts_file(stack, url).exists()
    problem(get(stack, "/image_info", url=url, only_send_if_local=True), 404, "not_local")
    assert get(stack, "/delete_image", "DELETE", url=url, block=True).status_code == 200
    problem(get(stack, "/image_info", url=url), 410, "blocked")


def test_upright(stack: Stack, origin: Origin) -> None:
    exif = Image.Exif()
    exif[274] = 6
    content = jpeg(320, 200, seed=35, exif=exif)
    told = info(stack, origin.serve("/turned.jpg", content))
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    assert (told["width"], told["height"], told["orientation"]) == (200, 320, 6)
    assert told["dhash"] == reference(upright)


def test_alpha_and_animation(stack: Stack, origin: Origin) -> None:
    def saved(image: Image.Image, format: str, **options: Any) -> bytes:
        file = io.BytesIO()
        image.save(file, format, **options)
        return file.getvalue()

    clear = Image.new("RGBA", (60, 40), (255, 0, 0, 255))
    clear.paste((0, 0, 0, 0), (30, 0, 60, 40))
    told = info(stack, origin.serve("/clear.png", saved(clear, "PNG")))
    assert (told["has_alpha"], told["animated"], told["format"]) == (True, False, "png")
    assert told["average_colour"] in ("ff7f7f", "ff8080"), "on white"
    one, two = Image.new("L", (30, 20)), Image.new("L", (30, 20), 255)
    moving = saved(one, "GIF", save_all=True, append_images=[two])
    told = info(stack, origin.serve("/moving.gif", moving))
    assert (told["animated"], told["average_colour"]) == (True, "000000")


def test_head_downloads_nothing(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/head.jpg", jpeg(300, 200, seed=36))
    missing = get(stack, "/image_info", "HEAD", url=url)
    assert (missing.status_code, missing.content) == (404, b"")
    assert origin.count("/head.jpg") == 0
    get(stack, "/get_image", url=url)
    here = get(stack, "/image_info", "HEAD", url=url)
    assert (here.status_code, here.content) == (200, b"")
    assert here.headers["Content-Type"] == "application/json"
    assert get(stack, "/image_info", "HEAD").status_code == 400


def test_only_send_if_local(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/local.jpg", jpeg(300, 200, seed=37))
    problem(get(stack, "/image_info", url=url, only_send_if_local="true"), 404, "not_local")
    get(stack, "/get_image", url=url)
    assert info(stack, url, only_send_if_local="1")["width"] == 300
    assert origin.count("/local.jpg") == 1


def test_max_age(stack: Stack, origin: Origin) -> None:
    shop = Versions(jpeg(300, 200, seed=38), ETag='"1"')
    url = origin.behave("/aged.jpg", shop)
    first = info(stack, url)
    checked = get(stack, "/image_info", url=url, max_age=0)
    assert (checked.json()["sha256"], shop.sent) == (first["sha256"], [200, 304])
    assert checked.json()["checked_at"] > first["checked_at"]
    shop.put(jpeg(100, 50, seed=39), ETag='"2"')
    eventually(lambda: info(stack, url, max_age=0)["width"] == 100, "the new version")
    origin.behave("/aged.jpg", behave.answer(500))
    stale = eventually(
        lambda: (
            (a := get(stack, "/image_info", url=url, max_age=0)).headers["X-Cache"] == "STALE" and a
        ),
        "the origin is away",
    )
    assert stale.json()["width"] == 100


@pytest.mark.parametrize(
    ("parameters", "named"),
    [({}, "url"), ({"url": "x"}, "url"), ({"max_age": "-1"}, "max_age"), ({"max_age": ""}, "max_age"),
     ({"only_send_if_local": "2"}, "only_send_if_local"), ({"use_alternativ_clouds": ""}, "use_alternativ")],
)  # fmt: skip
def test_bad_parameters(
    stack: Stack, origin: Origin, parameters: dict[str, str], named: str
) -> None:
    asked = {"url": origin.url("/never.jpg")} | parameters if parameters else {}
    assert named in problem(get(stack, "/image_info", **asked), 400, "bad_parameter")["detail"]
    assert origin.count("/never.jpg") == 0


def test_pictures_that_cannot_be_had(stack: Stack, origin: Origin) -> None:
    missing = origin.url("/missing.jpg")
    first = problem(get(stack, "/image_info", url=missing), 404, "origin_not_found")
    assert first["upstream_status"] == 404
    problem(get(stack, "/get_image", url=missing), 404, "origin_not_found")
    assert origin.count("/missing.jpg") == 1, "the failure is remembered"
    page = origin.serve("/page.jpg", b"<!doctype html><title>no</title>" * 10)
    problem(get(stack, "/image_info", url=page), 422, "not_an_image")
    problem(get(stack, "/image_info", url="http://10.0.0.1/a.jpg"), 403, "url_forbidden")


def test_a_picture_that_does_not_decode(stack: Stack, origin: Origin) -> None:
    file = io.BytesIO()
    Image.effect_noise((60, 40), 90).save(file, "PNG")
    start, end = file.getvalue().index(b"IDAT") + 4, file.getvalue().index(b"IEND") - 8
    broken = file.getvalue()[:start] + b"\xff" * (end - start) + file.getvalue()[end:]
    url = origin.serve("/broken.png", broken)
    assert get(stack, "/get_image", url=url).status_code == 200
    for _ in range(2):
        assert get(stack, "/image_info", url=url).status_code == 422
    assert get(stack, "/image_info", "HEAD", url=url).status_code == 422


def test_tokens_and_signatures(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/signed.jpg", jpeg(90, 60, seed=41))
    address, query = stack.url + "/image_info", {"url": url}
    none = requests.get(address, params=query, timeout=DEADLINE_S)
    problem(none, 401, "token_missing")
    stack.cli("token", "add", "info", "read")
    signed = stack.cli("sign", "--client", "info", f"{address}?{urlencode(query)}").strip()
    assert requests.get(signed, timeout=DEADLINE_S).json()["width"] == 90


def test_other_methods(stack: Stack) -> None:
    answer = get(stack, "/image_info", "POST", url="http://shop.example/a.jpg")
    problem(answer, 405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]
