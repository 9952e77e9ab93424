"""Which format Accept decides on."""

from __future__ import annotations

import pytest

from image_cloud.config.sections import Resize
from image_cloud.picture.variant import Recipe
from image_cloud.request.accept import format_for
from image_cloud.request.params import (
    ImageParameters,
    ThumbnailParameters,
    companions,
    thumbnail_recipe,
)
from image_cloud.request.query import Query

CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
URL = "url=http://shop.example/a.jpg"
AUTO = Resize(
    auto_formats=("avif", "webp", "jpeg"), thumbnail_format="auto", format_when_resize="auto"
)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "jpeg"), ("", "jpeg"), ("*/*", "jpeg"), ("image/*", "jpeg"),
        ("image/*,*/*;q=0.8", "jpeg"),
        ("image/png", "jpeg"), ("text/html", "jpeg"), ("image/jpeg", "jpeg"), ("*/*;q=0", "jpeg"),
        (CHROME, "webp"), ("image/webp", "webp"), ("IMAGE/WebP", "webp"), (" image/webp\t", "webp"),
        ("image/jpeg,image/webp;q=0.1", "webp"), ("image/webp;q=0", "jpeg"),
        ("image/webp;q=0.000", "jpeg"),
        ("image/webp ; Q = 0.001", "webp"), ("image/webp;q=0,image/webp", "webp"),
        ("image/webp;q=1.0", "webp"),
        ("image/webp;level=1;q=0", "jpeg"), ("image/webp;q=0;q=1", "jpeg"), ("image/webp;q", "jpeg"),
        ("image/webp;q=", "jpeg"), ("image/webp;q=x", "jpeg"), ("image/webp;q=-1", "jpeg"),
        ("image/webp;", "webp"),
        ("image/webp;q=.5", "webp"), ("image/webp;q=.", "jpeg"), ("image/webp;q=1.1.1", "jpeg"),
        ("image/webp2", "jpeg"), ("ximage/webp", "jpeg"), ("image /webp", "jpeg"),
        ("image/webp image/png", "jpeg"),
        (';,,image/webp', "webp"), ('text/html;x=",image/webp,"', "jpeg"),
        ('text/html;x="\\",image/webp', "jpeg"),
        ('a;x="b",image/webp', "webp"), ('"image/webp"', "jpeg"), ("image/\\webp", "jpeg"),
        ("image/webp,\xe9", "jpeg"), ("image/webp,\x01", "jpeg"), ("image/webp" + " " * 5000, "jpeg"),
    ],
)  # fmt: skip
def test_a_header_decides(accept: str | None, chosen: str) -> None:
    assert format_for(accept, ("webp", "jpeg")) == chosen


def test_the_order_is_the_inis() -> None:
    assert format_for(CHROME, ("avif", "webp", "jpeg")) == "avif"
    assert format_for("image/jpeg;q=0.1,image/webp", ("jpeg", "webp")) == "jpeg"
    assert format_for("image/webp", ("jpeg", "webp")) == "webp"


@pytest.mark.parametrize(
    ("query", "accept", "names"),
    [
        ("resize_width=40&format_when_resize=auto", "image/webp", ("40x0-fit-q85-auto.webp",
        "40x0-fit-q85-auto.jpg")),
        ("resize_width=40&quality=9", CHROME, ("40x0-fit-q9-auto.avif", "40x0-fit-q9-auto-avif.jpg")),
        ("resize_width=40&format_when_resize=Auto", "*/*", ("40x0-fit-q85.jpg",)),
        ("resize_width=40&format_when_resize=png", "image/webp", ("40x0-fit-q85.png",)),
        ("resize_width=40&background=ff0000", "image/webp", ("40x0-fit-q85-auto.webp",
        "40x0-fit-q85-auto.jpg")),
        ("trim=1", "image/webp", ("0x0-fit-trim10-q85-auto.webp", "0x0-fit-trim10-q85-auto.jpg")),
    ],
)  # fmt: skip
def test_names(query: str, accept: str, names: tuple[str, ...]) -> None:
    table, asked = ImageParameters(AUTO, ("jpeg", "png")), Query(f"{URL}&{query}", accept)
    recipe = table.recipe(asked)
    assert recipe
    assert recipe.names == names
    assert Recipe.from_name(names[0]) == recipe
    assert table.is_auto(asked) == ("png" not in query)
    for instead in names[1:]:
        with pytest.raises(ValueError, match="not the name"):
            Recipe.from_name(instead)


def test_nothing_is_decided_where_nothing_is_resized() -> None:
    table = ImageParameters(AUTO, ("jpeg",))
    for query in ("", "&resize_width=0", "&resize_mode=fit"):
        assert not table.is_auto(Query(URL + query, "image/webp"))
    assert table.is_auto(Query(URL + "&resize_width=x", "image/webp"))  # nobody knows better
    assert table.recipe(Query(URL, "image/webp")) is None


def test_thumbnails_are_made_in_advance_as_most_will_ask_for_them() -> None:
    for settings, accept in (
        (AUTO, CHROME),
        (Resize(), CHROME),
        (Resize(thumbnail_format="webp"), ""),
    ):
        asked = ThumbnailParameters(settings).recipe(Query(URL, accept))
        assert asked == thumbnail_recipe(200, settings)
        (other,) = companions(asked, settings)
        assert other == thumbnail_recipe(250, settings)
