"""The body of POST /fire_and_forget."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_cloud.errors import BadRequestBody, RequestTooLarge
from image_cloud.prefetch.body import MAX_BYTES, MAX_URLS, Order, read_order

SIZES = (100, 200, 250)


def read(body: bytes | str) -> Order:
    return read_order(body if isinstance(body, bytes) else body.encode(), SIZES)


@given(
    st.lists(st.text()), st.sampled_from([None, 0, 2]), st.booleans(),
    st.dictionaries(st.text().filter(lambda name: name not in ("urls", "thumbnails", "priority")),
                    st.recursive(st.none() | st.floats() | st.text(), st.lists, max_leaves=5)),
)  # fmt: skip
def test_what_json_writes_is_read(
    urls: list[str], indent: int | None, ascii_only: bool, others: dict[str, Any]
) -> None:
    members = {**others, "urls": urls, "thumbnails": [250, 100, 100], "priority": -3}
    body = json.dumps(members, indent=indent, ensure_ascii=ascii_only)
    assert read(body.encode("utf-8", "surrogatepass") if ascii_only else body) == Order(
        urls, (100, 250), -3
    )


def test_the_least_and_a_byte_order_mark() -> None:
    assert read(b'\xef\xbb\xbf{"urls":[]}') == Order([])


@pytest.mark.parametrize(("body", "says"), [
    (b"", "not a JSON object"), (b"null", "not a JSON object"), (b'["http://a/"]', "not a JSON object"),
    (b"urls=1", "not a JSON object"), (b"{}", "urls: missing"),
    (b'{"urls": "http://a/"}', "urls: not a list"),
    (b'{"urls": ["a", 7]}', "urls[1]: not a string"), (b'{"urls": ["a" "b"]}', "after urls[0]"),
    (b'{"urls": ["a",]}', "urls[1]"), (b'{"urls": ["a"', "after urls[0]"), (b'{"urls": ["a', "urls[0]"),
    (b'{"urls": ["\xff"]}', "UTF-8"), (b'{"urls": ["\n"]}', "urls[0]"), (b'{"urls": ["\\x"]}', "urls[0]"),
    (b'{"urls": [], "urls": []}', '"urls" is given twice'), (b'{"urls": []} {}', "more follows"),
    (b'{"urls": [], "priority": "1"}', "-1000 to 1000"), (b'{"urls": [], "priority": 1001}', "-1000 to 1000"),
    (b'{"urls": [], "priority": true}', "priority"), (b'{"urls": [], "thumbnails": 200}', "100, 200, 250"),
    (b'{"urls": [], "thumbnails": [201]}', "100, 200, 250"),
    (b'{"urls": [], "thumbnails": [[]]}', "thumbnails"),
    (b'{"urls": [], "x": ' + b"[" * 10**6, '"x"'), (b'{"urls" 1}', "colon"), (b"{urls: []}", "member"),
])  # fmt: skip
def test_mistakes_are_named(body: bytes, says: str) -> None:
    with pytest.raises(BadRequestBody) as caught:
        read(body)
    assert says in caught.value.detail


def test_the_most_urls() -> None:
    assert len(read(json.dumps({"urls": ["u"] * MAX_URLS})).urls) == MAX_URLS
    with pytest.raises(RequestTooLarge, match="100000"):
        read(json.dumps({"urls": ["u"] * (MAX_URLS + 1)}))


@pytest.mark.parametrize("unit", [b"[", b"{},", b'"",', b"1,"])
def test_a_hostile_body_costs_little_more_than_itself(unit: bytes) -> None:
    body = b'{"urls": [' + unit * (MAX_BYTES // 8 // len(unit))
    tracemalloc.start()
    with pytest.raises((BadRequestBody, RequestTooLarge)):
        read(body)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 3 * len(body)
