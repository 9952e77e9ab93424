import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_cloud.config.sections import Resize
from image_cloud.errors import BadParameter, UrlForbidden
from image_cloud.picture.key import key_of
from image_cloud.picture.variant import EXTENSIONS, MODES, WHITE, Focus, Recipe
from image_cloud.request.params import (
    ImageParameters,
    ImageRequest,
    ThumbnailParameters,
    companions,
)
from image_cloud.request.query import Query

FORMATS = ("jpeg", "png", "webp")
URL = "url=http://shop.example/a.jpg"


def wanted(query: str) -> ImageRequest:
    return ImageParameters(Resize(), FORMATS).read(Query(query))


def test_keys_are_those_that_nginx_computes() -> None:
    key = "ab30e631546a9a8d412cc1b40522c4311c0791930fc4937e880cae1e4df0d7c9"
    assert key_of("https://x.y/a b") == key


def test_the_original_without_a_size() -> None:
    request = wanted(f"{URL}&format_when_resize=png&quality=3&_=17")
    assert request.recipe is None
    assert request.url.text == "http://shop.example/a.jpg"


@pytest.mark.parametrize(
    ("query", "recipe"),
    [
        ("resize_width=300", Recipe(300, 0)),
        ("resize_height=5000", Recipe(0, 5000)),
        ("resize_width=3&resize_height=4&keep_aspect_ratio=false", Recipe(3, 4, "stretch")),
        ("resize_width=3&resize_height=4&force_to_size=1", Recipe(3, 4, "pad")),
        ("resize_width=3&enlarge=TRUE&quality=1", Recipe(3, 0, "fit", True, "jpeg", 1)),
        ("resize_width=3&format_when_resize=PNG", Recipe(3, 0, format="png")),
        ("resize_width=3&resize_height=0&format_when_resize=jpg", Recipe(3, 0)),
        ("resize_width=&resize_height=00", None),
        ("resize_width=3&keep_aspect_ratio=0&enlarge=1", Recipe(3, 0, "stretch")),
    ],
)
def test_recipes(query: str, recipe: Recipe) -> None:
    assert wanted(f"{URL}&{query}").recipe == recipe


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("resize_width=0&force_to_size=1", "force_to_size"),
        ("resize_width=5001", "resize_width"),
        ("resize_height=a", "resize_height"),
        ("resize_width=1&resize_width=1", "resize_width"),
        ("keep_aspect_ratio=yes", "keep_aspect_ratio"),
        ("force_to_size=true&resize_width=5", "force_to_size"),
        ("force_to_size=true", "force_to_size"),
        ("enlarge=", "enlarge"),
        ("format_when_resize=exe", "format_when_resize"),
        ("format_when_resize=gif", "format_when_resize"),
        ("quality=0", "quality"),
        ("no_image=2", "no_image"),
        ("only_send_if_local=maybe", "only_send_if_local"),
        ("use_alternativ_clouds=1&use_alternative_clouds=1", "use_alternativ_clouds"),
    ],
)
def test_bad_parameters_are_named(query: str, name: str) -> None:
    with pytest.raises(BadParameter, match=f"^{name}: "):
        wanted(f"{URL}&{query}")


@pytest.mark.parametrize("query", ["", "url=", "url=shop.example/a.jpg", "url=http://", "url=%00"])
def test_bad_urls(query: str) -> None:
    with pytest.raises(BadParameter, match="^url: "):
        wanted(query)


def test_other_schemes_are_forbidden() -> None:
    with pytest.raises(UrlForbidden):
        wanted("url=file:///etc/passwd")


def test_thumbnails() -> None:
    assert ThumbnailParameters(Resize()).read(Query(URL)).recipe == Recipe(200, 200)
    assert ThumbnailParameters(Resize()).read(Query(f"{URL}&size=800")).recipe == Recipe(800, 800)
    with pytest.raises(BadParameter, match="100, 200, 250, 400, 800"):
        ThumbnailParameters(Resize()).read(Query(f"{URL}&size=201"))


@given(
    st.builds(
        Recipe,
        st.integers(0, 65535),
        st.integers(0, 65535),
        st.sampled_from(MODES),
        st.booleans(),
        st.sampled_from(sorted(EXTENSIONS)),
        st.integers(1, 100),
        st.builds(Focus, st.integers(0, 1000), st.integers(0, 1000)),
        st.none() | st.integers(0, 255),
        st.sampled_from([WHITE, "000000", "12abef"]),
    )
)
def test_a_recipe_can_be_read_back_from_its_name(recipe: Recipe) -> None:
    canonical = recipe.canonical()
    if not recipe.is_possible:
        with pytest.raises(ValueError, match="not the name"):
            Recipe.from_name(canonical.name)
    else:
        assert canonical.canonical() == canonical == Recipe.from_name(canonical.name)
        if recipe.name != canonical.name:
            with pytest.raises(ValueError, match="not the name"):
                Recipe.from_name(recipe.name)


@pytest.mark.parametrize(
    "name",
    [
        "", "../x", "200x200-fit-q85.jpg/..", "1x1-fit-q85.exe", "x-fit-q1.jpg", "0x0-fit-q85.jpg",
        "9x0-crop-q85.jpg", "0x9-pad-q85.jpg", "9x9-crop-at1001x0-q85.jpg", "9x9-crop-at500x500-q85.jpg",
        "9x9-fit-trim256-q85.jpg", "9x9-fit-trim010-q85.jpg", "9x9-fit-bgffffff-q85.jpg",
        "9x9-fit-bgFF0000-q85.jpg", "9x9-fit-bg00ff00-q85.png", "9x9-fit-at0x0-q85.jpg",
        "9x9-crop-up-q85.jpg", "9x9-fit-trim1-at0x0-q85.jpg", "9x9-fit-q0.jpg", "9x9-fit-q101.jpg",
    ],
)  # fmt: skip
def test_nothing_else_is_the_name_of_a_variant(name: str) -> None:
    with pytest.raises(ValueError, match="not the name"):
        Recipe.from_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "40x0-fit-q85.jpg", "0x30-fit-up-q1.png", "40x30-pad-q85.jpg", "40x30-pad-up-q85.webp",
        "40x0-stretch-q85.tiff", "40x30-stretch-q100.gif", "200x200-fit-q85.avif", "9x9-fit-q85.bmp",
    ],
)  # fmt: skip
def test_variants_stored_before_there_was_crop_are_still_hits(name: str) -> None:
    assert Recipe.from_name(name).name == name


def test_companions_are_sizes_that_may_be_asked_for() -> None:
    settings = Resize(thumbnail_sizes=(100, 200), thumbnails_together=(200, 250, 100))
    assert companions(Recipe(200, 200), settings) == [Recipe(100, 100)]
    assert companions(Recipe(50, 50), settings) == []
