"""What queries mean to Python; tests/nginx holds nginx to the same."""

from urllib.parse import quote

import pytest

from image_cloud.config.sections import ENCODABLE, Resize
from image_cloud.errors import BadParameter
from image_cloud.picture.key import key_of
from image_cloud.picture.variant import Recipe
from image_cloud.request.params import ImageParameters, ImageRequest, ThumbnailParameters
from image_cloud.request.query import Query
from tests.nginx.vectors import IMAGE, THUMBNAIL

FORMATS = ENCODABLE
CASES = [("thumbnail", *case) for case in THUMBNAIL] + [("image", *case) for case in IMAGE]


PLAIN = "http://a/b.jpg"
SPELLINGS = [
    PLAIN,
    f" \r\n{PLAIN}\t ",
    f"{PLAIN}\n",
    f"{PLAIN}#top",
    f"{PLAIN}?",
    "HTTP://A:0080/x/.%2E/b.jpg",
    "http://%61/{b} ä%zz|.jpg",
    "http://ａ。/b.jpg",
]


def read(kind: str, query: str, url: str = PLAIN) -> ImageRequest:
    asked = Query(query.format(url=quote(url, "")))
    if kind == "thumbnail":
        return ThumbnailParameters(Resize()).read(asked)
    return ImageParameters(Resize(), FORMATS).read(asked)


@pytest.mark.parametrize(("kind", "query", "meaning"), CASES)
def test_a_query_means(kind: str, query: str, meaning: str) -> None:
    for url in SPELLINGS:
        if meaning != "original" and "." not in meaning:
            with pytest.raises(BadParameter, match=f"^{meaning}: "):
                read(kind, query, url)
            continue
        wanted = read(kind, query, url)
        assert (wanted.url.text, wanted.url.key) == (url, key_of(url))
        assert (wanted.recipe.name if wanted.recipe else "original") == meaning


@pytest.mark.parametrize("meaning", sorted({meaning for *_, meaning in CASES if "." in meaning}))
def test_the_names_are_those_that_pools_read(meaning: str) -> None:
    assert Recipe.from_name(meaning).name == meaning
