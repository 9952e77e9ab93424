"""Python, Node and PHP sign alike, and the server opens what they sign."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from image_cloud.request import signing, tokens
from image_cloud.request.query import Query
from image_cloud_client import Client, sign
from image_cloud_client.options import pairs

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "docs/signing_vectors.json").read_text())
TOKEN = VECTORS["token"]
CASES: list[dict[str, Any]] = VECTORS["signed_urls"]
NODE = """
import { readFileSync } from "node:fs";
const { Signer } = await import(process.argv[1]);
const { token, cases } = JSON.parse(readFileSync(0, "utf8"));
const signed = cases.map((one) =>
    new Signer(one.base + "/", one.client, token).sign(one.path, one.parameters, one.expires));
console.log(JSON.stringify(signed));
"""
PHP = """
require $argv[1];
$asked = json_decode(stream_get_contents(STDIN), true);
$sign = function ($one) use ($asked) {
    $signer = new ImageCloudSigner($one['base'] . '/', $one['client'], $asked['token']);
    return $signer->sign($one['path'], $one['parameters'], $one['expires']);
};
echo json_encode(array_map($sign, $asked['cases']));
"""
SHOWN = {
    "node": "const { Signer } = await import(process.argv[1]);"
    "console.log(new Signer('http://ic00', 'page', 'secret'));",
    "php": "require $argv[1]; $s = new ImageCloudSigner('http://ic00', 'page', 'secret');"
    " var_dump($s); print_r($s);",
}


def run(language: str, code: str, given: object = None) -> str:
    commands = {
        "node": ["node", "--input-type=module", "-e", code, str(ROOT / "client/js/image_cloud.mjs")],
        "php": ["php", "-d", "arg_separator.output=;", "-r", code, str(ROOT / "client/php/image_cloud.php")],
    }  # fmt: skip
    ended = subprocess.run(
        commands[language], input=json.dumps(given), capture_output=True, text=True, timeout=60
    )
    assert not ended.returncode, ended.stderr
    return ended.stdout


@pytest.mark.parametrize(("language", "code"), [("node", NODE), ("php", PHP)])
def test_each_language_signs_like_the_vectors(language: str, code: str) -> None:
    signed = json.loads(run(language, code, {"token": TOKEN, "cases": CASES}))
    assert signed == [one["url"] for one in CASES]


@pytest.mark.parametrize("one", CASES, ids=lambda one: one["path"])
def test_python_signs_like_the_vectors(one: dict[str, Any]) -> None:
    signed = sign(
        one["base"], one["path"], pairs(one["parameters"]), client=one["client"], token=TOKEN,
        expires=one["expires"],
    )  # fmt: skip
    assert signed == one["url"]


@pytest.mark.parametrize("one", CASES, ids=lambda one: one["path"])
def test_the_server_opens_them(one: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    tokens.add(file, "page", ["read"])
    kept = json.loads(file.read_text())
    kept["clients"][0]["sha256"] = tokens.hash_token(TOKEN)
    file.write_text(json.dumps(kept))
    parts = urlsplit(one["url"])
    opened = signing.verify(parts.path, Query(parts.query), tokens.TokenStore(file), time.time())
    assert opened.name == "page"


@pytest.mark.parametrize("language", SHOWN)
def test_what_shows_a_signer_shows_no_key(language: str) -> None:
    key = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"  # SHA-256 of secret
    shown = run(language, SHOWN[language])
    assert "Signer" in shown
    assert "secret" not in shown
    assert key not in shown


def test_a_signature_needs_a_name() -> None:
    with pytest.raises(ValueError, match="name"):
        Client(["http://ic00:5000"], TOKEN).signed_url("http://shop.example/a.jpg")


def test_a_signature_expires_at_a_whole_second() -> None:
    code = "const { Signer } = await import(process.argv[1]);"
    code += (
        "console.log(new Signer('http://ic00', 'page', 'secret').thumbnail('http://a.b', 1, 1.5));"
    )
    query = dict(parse_qsl(urlsplit(run("node", code)).query))
    assert query["expires"].isdigit()
