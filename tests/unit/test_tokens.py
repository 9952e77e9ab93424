import hashlib
import hmac
import json
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from image_cloud.errors import BadSignature, SignatureExpired
from image_cloud.process.reread import RECHECK_S
from image_cloud.request import signing, tokens
from image_cloud.request.query import Query
from tests.clock import Clock

VECTORS = json.loads((Path(__file__).parents[2] / "docs/signing_vectors.json").read_text())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


def test_a_token_is_kept_only_as_its_hash_and_for_the_owner_alone(file: Path) -> None:
    token = tokens.add(file, "web", ["read"])
    assert token not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    client = tokens.TokenStore(file).by_token(token)
    assert client is not None
    assert (client.name, client.scopes) == ("web", ("read",))


def test_a_change_of_the_file_is_seen(file: Path) -> None:
    clock = Clock(0.0)
    store = tokens.TokenStore(file, clock)
    assert store.by_token("x") is None
    token = tokens.add(file, "web", ["read"])
    assert store.by_token(token), "a new token works at once"
    tokens.revoke(file, "web")
    clock.now += RECHECK_S
    assert store.by_token(token) is None


def test_a_broken_file_leaves_the_last_good_one_in_force(file: Path) -> None:
    clock = Clock(0.0)
    token = tokens.add(file, "web", ["read"])
    store = tokens.TokenStore(file, clock)
    assert store.by_token(token)
    file.write_text("{")
    clock.now += RECHECK_S
    assert store.by_token(token)


@pytest.mark.parametrize(
    ("name", "scopes"), [("a b", ["read"]), ("", ["read"]), ("a", ["root"]), ("a", [])]
)
def test_bad_clients_are_refused(name: str, scopes: list[str], file: Path) -> None:
    with pytest.raises(ValueError, match="^(name|scopes): "):
        tokens.add(file, name, scopes)


def test_names_are_taken_once_and_revoked_once(file: Path) -> None:
    tokens.add(file, "a", ["read"])
    with pytest.raises(ValueError, match="taken"):
        tokens.add(file, "a", ["read"])
    tokens.revoke(file, "a")
    with pytest.raises(ValueError, match="no client"):
        tokens.revoke(file, "a")


def test_clients_that_are_added_at_the_same_time_are_all_kept(file: Path) -> None:
    def add(start: int) -> None:
        for number in range(start, start + 5):
            tokens.add(file, f"c{number}", ["read"])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(0, 20, 5)))
    assert len(tokens.read_clients(file)) == 20


@pytest.mark.parametrize("text", ["{", "[]", '{"clients": [{}]}', '{"clients": 3}', "[" * 100_000])
def test_a_file_without_clients_is_refused(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(ValueError, match="."):
        tokens.read_clients(file)


@pytest.fixture
def store(file: Path) -> tokens.TokenStore:
    tokens.add(file, "web", ["read"])
    return tokens.TokenStore(file)


def signed(store: tokens.TokenStore, address: str, valid_s: int = 60) -> tuple[str, str]:
    client = store.by_name("web")
    assert client
    path, _, query = signing.sign(address, client, int(time.time()) + valid_s).partition("?")
    return path, query


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("/delete_image?url=http%3A%2F%2Fa%2F", "/delete_image"),
        ("/get_thumbnail?url=http://a/?x=1&y=2", "y: not a parameter"),
        ("/get_thumbnail?url=http%3A%2F%2Fa%2F&token=abc", "token: leave it out"),
        ("/get_thumbnail?size=200", "url: expected once"),
        ("/get_thumbnail?url=http://a/&size=200", ""),
    ],
)
def test_what_is_not_worth_signing(address: str, names: str) -> None:
    reason = signing.why_not(address)
    assert reason.startswith(names)
    assert bool(reason) == bool(names)
    assert "abc" not in reason


@pytest.mark.parametrize(("library", "message"), VECTORS["messages"].items())
def test_each_library_that_encodes_a_query_can_sign(library: str, message: str, file: Path) -> None:
    """The messages are what Python, JavaScript and PHP made of the same parameters."""
    signature, hashed = VECTORS["signatures"][library], tokens.hash_token(VECTORS["token"])
    assert hmac.new(hashed.encode(), message.encode(), hashlib.sha256).hexdigest() == signature
    tokens.add(file, "page", ["read"])
    kept = json.loads(file.read_text())
    kept["clients"][0]["sha256"] = hashed
    file.write_text(json.dumps(kept))
    path, _, query = message.partition("?")
    asked = Query(f"{query}&signature={signature}")
    assert signing.verify(path, asked, tokens.TokenStore(file), 0).name == "page"


ADDRESS = "/get_thumbnail?url=http%3A%2F%2Fa%2F%C3%A9+b.jpg&size=200"


def test_a_signed_url_opens(store: tokens.TokenStore) -> None:
    path, query = signed(store, ADDRESS)
    assert signing.verify(path, Query(query), store, time.time()).name == "web"


def test_the_order_of_parameters_does_not_matter(store: tokens.TokenStore) -> None:
    path, query = signed(store, ADDRESS)
    turned = "&".join(reversed(query.split("&")))
    assert signing.verify(path, Query(turned), store, time.time())


def test_it_opens_nothing_else(store: tokens.TokenStore) -> None:
    path, query = signed(store, ADDRESS)
    others = [
        ("/get_image", query),
        (path, query + "&x=1"),
        (path, query.replace("size=200", "size=100")),
        (path, query.replace("size=200", "size=200&size=200")),
        (path, query.replace("client=web", "client=other")),
        (path, query[:-1] + ("0" if query[-1] != "0" else "1")),
        (path, query.rpartition("&")[0]),
    ]
    for other_path, other_query in others:
        with pytest.raises(BadSignature):
            signing.verify(other_path, Query(other_query), store, time.time())


def test_it_expires_and_dies_with_its_client(store: tokens.TokenStore, file: Path) -> None:
    path, query = signed(store, ADDRESS, -1)
    with pytest.raises(SignatureExpired):
        signing.verify(path, Query(query), store, time.time())
    path, query = signed(store, ADDRESS)
    file.write_text(json.dumps({"clients": []}))
    with pytest.raises(BadSignature):
        signing.verify(path, Query(query), tokens.TokenStore(file), time.time())


def test_the_message_is_the_documented_one() -> None:
    parameters = [("url", "http://a/~b c"), ("size", "200")]
    by_hand = b"/get_thumbnail?size=200&url=http%3A%2F%2Fa%2F~b%20c"
    wanted = hmac.new(b"key", by_hand, hashlib.sha256).hexdigest()
    assert signing.signature_of("/get_thumbnail", parameters, b"key") == wanted
