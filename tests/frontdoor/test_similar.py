"""Near-duplicates through the front door: /similar, `image-cloud similar` and `image-cloud facts`."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.frontdoor.client import eventually, get, get_raw, jpeg, problem
from tests.origin import Origin
from tests.stack.running import CHECKOUT, Stack
from tests.unit.test_resize_facts import reference

PATIENCE_S = 300.0  # for the facts of all pictures that other tests have left


def run(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(CHECKOUT / ".venv/bin/image-cloud"), *arguments]
    return subprocess.run(
        command, env=stack.env(), capture_output=True, text=True, timeout=PATIENCE_S
    )


def smaller(content: bytes, format: str = "WEBP") -> bytes:
    """Return the same picture in another size and format."""
    image, file = Image.open(io.BytesIO(content)), io.BytesIO()
    image.resize((image.width // 2, image.height // 2)).save(file, format)
    return file.getvalue()


def similar(stack: Stack, **parameters: Any) -> dict[str, Any]:
    answer = get(stack, "/similar", **parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    told: dict[str, Any] = answer.json()
    return told


def await_row(stack: Stack, url: str, dhash: str) -> None:
    eventually(lambda: url in shown(similar(stack, dhash=dhash, limit=1000)), "its row is written")


@pytest.fixture
def shop(stack: Stack, origin: Origin) -> dict[str, str]:
    """A picture, a smaller copy of it, and another one, all of them asked for their facts."""
    content = jpeg(400, 300, seed=61)
    urls = {
        "one": origin.serve("/one.jpg", content),
        "copy": origin.serve("/copy.webp", smaller(content)),
        "other": origin.serve("/other.jpg", jpeg(400, 300, seed=2300)),
    }
    for url in urls.values():
        assert get(stack, "/image_info", url=url).status_code == 200
    for url in urls.values():  # their rows are written behind the answers
        dhash = get(stack, "/image_info", url=url).json()["dhash"]
        await_row(stack, url, dhash)
    return urls


def shown(told: dict[str, Any]) -> list[str]:
    return [one["url"] for one in told["pictures"]]


def test_by_url(stack: Stack, shop: dict[str, str]) -> None:
    told = similar(stack, url=shop["one"], limit=1000)
    assert shop["copy"] in shown(told)
    assert not {shop["one"], shop["other"]} & set(shown(told))
    assert (told["within"], told["is_all"]) == (6, True)
    [copy] = [one for one in told["pictures"] if one["url"] == shop["copy"]]
    assert (copy["format"], copy["width"], copy["height"]) == ("webp", 200, 150)
    assert copy["distance"] == (int(copy["dhash"], 16) ^ int(told["dhash"], 16)).bit_count() <= 6
    distances = [one["distance"] for one in told["pictures"]]
    assert distances == sorted(distances)


def test_by_hash(stack: Stack, shop: dict[str, str]) -> None:
    dhash = get(stack, "/image_info", url=shop["one"]).json()["dhash"]
    told = similar(stack, dhash=dhash.upper(), within=0)
    assert shop["one"] in shown(told)
    assert {one["distance"] for one in told["pictures"]} == {0}
    turned = f"{int(dhash, 16) ^ 0b111:016x}"
    assert shop["one"] not in shown(similar(stack, dhash=turned, within=2, limit=1000))
    assert shop["one"] in shown(similar(stack, dhash=turned, within=3, limit=1000))
    assert len(similar(stack, dhash=dhash, within=16, limit=1)["pictures"]) == 1


def test_a_picture_that_is_not_here_is_fetched(
    stack: Stack, shop: dict[str, str], origin: Origin
) -> None:
    url = origin.serve("/later.png", smaller(jpeg(400, 300, seed=61), "PNG"))
    assert {shop["one"], shop["copy"]} <= set(shown(similar(stack, url=url, limit=1000)))
    problem(get(stack, "/similar", url=origin.url("/none.jpg")), 404, "origin_not_found")


def test_a_deleted_picture_is_no_longer_found(stack: Stack, shop: dict[str, str]) -> None:
    assert get(stack, "/delete_image", "DELETE", url=shop["copy"]).json()["deleted"]
    eventually(
        lambda: shop["copy"] not in shown(similar(stack, url=shop["one"], limit=1000)), "deleted"
    )


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({}, "url"),
        ({"url": "http://shop.example/a.jpg", "dhash": "0" * 16}, "url"),
        ({"dhash": "0" * 15}, "dhash"),
        ({"dhash": ""}, "dhash"),
        ({"dhash": "g" * 16}, "dhash"),
        ({"dhash": "0" * 16, "within": 17}, "within"),
        ({"dhash": "0" * 16, "within": -1}, "within"),
        ({"dhash": "0" * 16, "limit": 0}, "limit"),
        ({"dhash": "0" * 16, "limit": 1001}, "limit"),
    ],
)
def test_bad_parameters(stack: Stack, parameters: dict[str, Any], named: str) -> None:
    assert named in problem(get(stack, "/similar", **parameters), 400, "bad_parameter")["detail"]


def test_it_is_for_operators(stack: Stack) -> None:
    token = json.loads(stack.cli("token", "add", "looker", "read", "prefetch", "--json"))["token"]
    target = f"/similar?dhash={'0' * 16}"
    problem(get_raw(stack, target, token), 403, "scope_missing")
    assert get_raw(stack, target).status_code == 200
    (stack.home / "looker").write_text(token)
    refused = run(
        stack, "similar", "http://shop.example/", "--token-file", str(stack.home / "looker")
    )
    assert (refused.returncode, "ops" in refused.stderr) == (4, True)


# --- the command line ----------------------------------------------------------------------------


def test_the_command_by_url_and_by_file(stack: Stack, shop: dict[str, str], tmp_path: Path) -> None:
    found = run(stack, "similar", shop["one"], "--limit", "1000")
    assert (found.returncode, shop["copy"] in found.stdout) == (0, True), found.stderr
    file = tmp_path / "picture"
    file.write_bytes(jpeg(400, 300, seed=61))
    elsewhere = ("--url", stack.url, "--token-file", str(stack.home / "token"))
    by_file = run(
        stack, "similar", str(file), "--within", "2", "--json", "--limit", "1000", *elsewhere
    )
    told = json.loads(by_file.stdout)
    assert shop["one"] in shown(told)
    assert (told["within"], told["dhash"]) == (2, reference(Image.open(file)))
    assert shown(told) == shown(similar(stack, dhash=told["dhash"], within=2, limit=1000))


def test_exit_statuses(stack: Stack, shop: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    Image.effect_noise((90, 80), 100).save(file)
    none = run(stack, "similar", str(file), "--within", "0")
    assert (none.returncode, "nothing within 0 bits" in none.stdout) == (1, True)
    for usage in ((), (shop["one"], "--summary"), (shop["one"], "--within", "17"), (str(tmp_path / "no"),),
                  (shop["one"], "--limit", "0"), ("--summary", "--url", stack.url)):  # fmt: skip
        assert run(stack, "similar", *usage).returncode == 2, usage
    file.write_text("no picture")
    assert run(stack, "similar", str(file)).returncode == 4
    away = run(stack, "similar", shop["one"], "--url", "http://127.0.0.1:9")
    assert away.returncode == 3


def test_facts_of_one_picture(stack: Stack, shop: dict[str, str]) -> None:
    told = json.loads(run(stack, "facts", shop["one"], "--json").stdout)
    assert told == get(stack, "/image_info", url=shop["one"]).json()
    text = run(stack, "facts", shop["one"])
    assert (text.returncode, told["dhash"] in text.stdout) == (0, True)
    assert text.stdout.splitlines()[:2] == [shop["one"], f"key {told['key']}"]
    assert run(stack, "facts").returncode == 2
    assert run(stack, "facts", shop["one"], "--all").returncode == 2


def test_facts_of_all_pictures(stack: Stack, origin: Origin) -> None:
    content = jpeg(500, 300, seed=2650)
    url = origin.serve("/never_asked.jpg", content)
    assert get(stack, "/get_image", url=url).status_code == 200
    eventually(lambda: stack.psql(f"SELECT 1 FROM images WHERE url = '{url}'"), "its row")
    dhash = reference(Image.open(io.BytesIO(content)))
    assert url not in shown(similar(stack, dhash=dhash))
    filled = run(stack, "facts", "--all", "--json")
    told = json.loads(filled.stdout)
    assert told["made"] >= 1, filled.stderr
    assert filled.returncode == (1 if told["failed"] else 0)
    assert url in shown(similar(stack, dhash=dhash))
    assert json.loads(run(stack, "facts", "--all", "--json").stdout)["made"] == 0


def test_the_summary(stack: Stack, shop: dict[str, str]) -> None:
    told = json.loads(run(stack, "similar", "--summary", "--json", "--sample", "50").stdout)
    assert told["pictures"] >= told["hashes"] >= 3
    assert 0 < told["similar"]["share"] <= 1
    text = run(stack, "similar", "--summary")
    assert (text.returncode, "within  6" in text.stdout) == (0, True), text.stdout
