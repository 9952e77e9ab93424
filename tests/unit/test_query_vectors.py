"""What queries mean to Python; tests/nginx holds nginx to the same."""

import pytest

from image_cloud.config.sections import Resize
from image_cloud.errors import BadParameter
from image_cloud.request.params import ImageRequest, image_request, thumbnail_request
from image_cloud.request.query import Query
from tests.nginx.vectors import IMAGE, THUMBNAIL

FORMATS = ("jpeg", "png", "webp", "gif", "bmp", "tiff")
CASES = [("thumbnail", *case) for case in THUMBNAIL] + [("image", *case) for case in IMAGE]


def read(kind: str, query: str) -> ImageRequest:
    asked = Query(query.format(url="http://a/b.jpg"))
    if kind == "thumbnail":
        return thumbnail_request(asked, Resize())
    return image_request(asked, Resize(), FORMATS)


@pytest.mark.parametrize(("kind", "query", "meaning"), CASES)
def test_a_query_means(kind: str, query: str, meaning: str) -> None:
    if meaning != "original" and "." not in meaning:
        with pytest.raises(BadParameter, match=f"^{meaning}: "):
            read(kind, query)
        return
    wanted = read(kind, query)
    assert wanted.url.text == "http://a/b.jpg"
    assert (wanted.recipe.name if wanted.recipe else "original") == meaning
