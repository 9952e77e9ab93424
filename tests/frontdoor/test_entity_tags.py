"""ETags tell bytes apart, and nothing else: not the second of the store, not the way of the answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.frontdoor.client import get, jpeg, tag_of
from tests.origin import Origin
from tests.stack.running import Stack

WAYS: list[tuple[str, dict[str, Any]]] = [
    ("/get_image", {}),
    ("/get_thumbnail", {"size": 100}),
    ("/get_image", {"resize_width": 40}),
    ("/get_image", {"resize_width": 40, "format_when_resize": "bmp"}),
]
"""An original, what nginx names itself in both its ways, and a format of which every picture has one size."""


def alike(*seeds: int) -> list[bytes]:
    """Return pictures whose files have the same length."""
    pictures = [jpeg(64, 48, seed=seed) for seed in seeds]
    longest = max(map(len, pictures))
    return [content + bytes(longest - len(content)) for content in pictures]


@pytest.mark.parametrize(("path", "parameters"), WAYS)
def test_a_tag_is_made_of_the_bytes(
    stack: Stack, origin: Origin, path: str, parameters: dict[str, Any]
) -> None:
    url = origin.serve("/tagged.jpg", jpeg(seed=7))
    for method in ("GET", "GET", "HEAD", "GET"):
        answer = get(stack, path, method, url=url, **parameters)
        content = get(stack, path, url=url, **parameters).content
        assert answer.headers["ETag"] == tag_of(content)
        assert answer.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize(("path", "parameters"), WAYS)
def test_a_store_a_delete_and_a_store_within_a_second(
    stack: Stack, origin: Origin, path: str, parameters: dict[str, Any]
) -> None:
    one, other = alike(1, 2)

    def store_anew(content: bytes) -> Any:
        url = origin.serve("/changing.jpg", content)
        assert get(stack, "/delete_image", "DELETE", url=url).status_code == 200
        return get(stack, path, url=url, **parameters)

    def ask(url: str, **headers: str) -> Any:
        return get(
            stack, path, url=url,
            headers={name.replace("_", "-"): value for name, value in headers.items()}, **parameters,
        )  # fmt: skip

    before = store_anew(one)
    after = store_anew(other)
    url = origin.url("/changing.jpg")
    assert after.content != before.content
    assert after.headers["ETag"] != before.headers["ETag"]
    old_tag, old_date = before.headers["ETag"], before.headers["Last-Modified"]
    for condition in (
        {"If_None_Match": old_tag}, {"If_Modified_Since": old_date},
        {"Range": "bytes=0-9", "If_Range": old_tag}, {"Range": "bytes=0-9", "If_Range": old_date},
    ):  # fmt: skip
        answer = ask(url, **condition)
        assert (answer.status_code, answer.content) == (200, after.content), condition
    assert ask(url, If_Match=old_tag).status_code == 412
    assert ask(url, If_None_Match=f'"x", {after.headers["ETag"]}').status_code == 304
    part = ask(url, Range="bytes=0-9", If_Range=after.headers["ETag"])
    assert (part.status_code, part.content) == (206, after.content[:10])
    again = store_anew(one)
    assert (again.content, again.headers["ETag"]) == (before.content, old_tag)
    assert ask(url, If_None_Match=old_tag).status_code == 304
