"""The picture that is sent in place of another: which one, in which size, and what hides no error."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest
from PIL import Image

from image_cloud.config import load_config
from image_cloud.config.load import ConfigError
from image_cloud.config.sections import Http, Resize
from image_cloud.errors import (
    BadParameter,
    Busy,
    ImageCloudError,
    NotLocal,
    OriginNotFound,
    ScopeMissing,
    UrlForbidden,
)
from image_cloud.fetch.fallback import FallbackFetcher
from image_cloud.fetch.fallback_files import FallbackFiles
from image_cloud.fetch.placeholder import GREY_PNG, Placeholder, fallback_problems
from image_cloud.picture.record import Original
from image_cloud.picture.url import Url
from image_cloud.picture.variant import Focus, Recipe
from image_cloud.request.internal import FallbackRequest, FetchRequest
from image_cloud.request.query import Query
from image_cloud.request.steps import SendFallback, SendNothing, Step
from image_cloud.resize import resize

URL = Url.parse("http://shop.example/a.jpg")


class Resizer:
    """Resizes by the real code, in this process; counts."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "picture"
        self.count = 0
        self.error: ImageCloudError | None = None

    def __call__(self, data: bytes, original: Original, recipe: Recipe) -> bytes:
        self.count += 1
        if self.error:
            raise self.error
        self.path.write_bytes(data)
        return resize(self.path, recipe, Resize())


@pytest.fixture
def resizer(tmp_path: Path) -> Resizer:
    return Resizer(tmp_path)


def placeholder(resizer: Resizer, **settings: str) -> Placeholder:
    files = FallbackFiles(resizer.path.parent / "storage")
    return Placeholder.of(Http(**settings), resizer, files)


def opened(step: SendFallback) -> Image.Image:
    return Image.open(io.BytesIO(step.data)).convert("RGB")


@pytest.mark.parametrize(
    ("recipe", "size"),
    [
        (None, (400, 400)), (Recipe(0, 0, trim=10), (400, 400)), (Recipe(30, 20), (30, 20)),
        (Recipe(0, 20), (20, 20)), (Recipe(900, 0, "stretch"), (900, 900)), (Recipe(9, 90, "crop"), (9, 90)),
        (Recipe(30, 20, "pad", background="00ff00"), (30, 20)), (Recipe(30, 20, trim=3), (30, 20)),
    ],
)  # fmt: skip
def test_the_grey_one_fills_the_box(
    resizer: Resizer, recipe: Recipe | None, size: tuple[int, int]
) -> None:
    step = placeholder(resizer).step(recipe)
    assert (step.status, opened(step).size) == (200, size)
    assert {colour for _, colour in opened(step).getcolors() or ()} == {(0xDD, 0xDD, 0xDD)}


def test_the_inis_picture_is_made_as_any_other(tmp_path: Path, resizer: Resizer) -> None:
    image = Image.new("RGB", (100, 50), "red")
    image.paste("blue", (50, 0, 100, 50))
    image.save(path := tmp_path / "sold-out.png")
    place = placeholder(resizer, fallback_image=str(path), fallback_status="404")
    assert place.step(None) == SendFallback(path.read_bytes(), "png", 404)
    assert opened(place.step(Recipe(200, 200, format="png"))).size == (200, 100), "enlarged"
    right = place.step(Recipe(50, 50, "crop", format="png", focus=Focus(1000, 0)))
    assert (right.extension, opened(right).getcolors()) == ("png", [(2500, (0, 0, 255))])


def test_a_size_is_made_once_and_a_decoder_away_costs_only_the_size(resizer: Resizer) -> None:
    place = placeholder(resizer)
    assert place.step(Recipe(30, 20)) == place.step(Recipe(30, 20))
    assert resizer.count == 1
    resizer.error = Busy()
    assert place.step(Recipe(31, 20)) == SendFallback(GREY_PNG, "png", 200)
    assert place.step(Recipe(30, 20)).extension == "jpg"


@pytest.mark.parametrize(("content", "words"), [(None, "No such file"), (b"text", "not a picture")])
def test_a_picture_that_cannot_be_had_is_a_mistake_of_the_ini(
    tmp_path: Path, resizer: Resizer, content: bytes | None, words: str
) -> None:
    path = tmp_path / "none.png"
    if content is not None:
        path.write_bytes(content)
    override = f"http.fallback_image={path}"
    with pytest.raises(ConfigError, match=f"fallback_image = {path}: .*{words}"):
        load_config(None, home=str(tmp_path), overrides=override, checks=[fallback_problems])
    place = placeholder(resizer, fallback_image=str(path))
    assert place.step(None).data == GREY_PNG, "and the grey one where it went later"


class Fetcher:
    """Fails, or has stored what was asked for."""

    def __init__(self, error: ImageCloudError | None = None) -> None:
        self._error = error

    def fetch(self, _asked: FetchRequest) -> Step:
        if self._error:
            raise self._error
        return SendNothing("MISS")


@pytest.mark.parametrize("error", [OriginNotFound(), NotLocal(), Busy(), UrlForbidden("no")])
def test_what_keeps_a_picture_away_is_replaced(resizer: Resizer, error: ImageCloudError) -> None:
    fetcher = FallbackFetcher(Fetcher(error), placeholder(resizer))
    asked = FetchRequest(URL, fallback=True)
    assert isinstance(fetcher.fetch(asked), SendFallback)
    with pytest.raises(type(error)):
        fetcher.fetch(dataclasses.replace(asked, fallback=False))


@pytest.mark.parametrize("error", [BadParameter("no"), ScopeMissing("no")])
def test_what_the_client_has_to_mend_is_not(resizer: Resizer, error: ImageCloudError) -> None:
    fetcher = FallbackFetcher(Fetcher(error), placeholder(resizer))
    with pytest.raises(type(error)):
        fetcher.fetch(FetchRequest(URL, fallback=True))
    good = FallbackFetcher(Fetcher(), placeholder(resizer))
    assert good.fetch(FetchRequest(URL, fallback=True)) == SendNothing("MISS")


def test_what_is_handed_on_is_what_is_read() -> None:
    for asked in (FetchRequest(URL, Recipe(3, 4), fallback=True), FetchRequest(URL)):
        query = "&".join(f"{name}={value}" for name, value in asked.arguments().items())
        assert FetchRequest.read(Query(query)) == asked
    for request in (FallbackRequest(Recipe(3, 4, "crop")), FallbackRequest()):
        query = "&".join(f"{name}={value}" for name, value in request.arguments().items())
        assert FallbackRequest.read(Query(query)) == request


def kept(resizer: Resizer) -> dict[str, bytes]:
    """Return what nginx finds."""
    folder = resizer.path.parent / "storage/fallback"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_nginx_finds_it_in_the_sizes_that_were_asked_for(tmp_path: Path, resizer: Resizer) -> None:
    (tmp_path / "storage").mkdir()
    grey, size = placeholder(resizer), Recipe(30, 20)
    grey.publish()
    assert kept(resizer) == {"picture.png": GREY_PNG}
    made = grey.step(size)
    grey.step(Recipe(30, 20, format="webp", auto=True))  # Accept decides: nginx sends it as it is
    assert kept(resizer) == {"picture.png": GREY_PNG, size.name: made.data}
    assert placeholder(resizer).step(size) == made, "another process"
    path = tmp_path / "sorry.gif"
    Image.new("L", (9, 9)).save(path)
    placeholder(resizer, fallback_image=str(path)).publish()
    assert list(kept(resizer)) == ["picture.gif"], "none of the one before"


def test_it_is_made_before_it_is_missed(tmp_path: Path, resizer: Resizer) -> None:
    (tmp_path / "storage").mkdir()
    grey, sizes, waits = placeholder(resizer), [Recipe(20, 20), Recipe(40, 40)], []
    grey.publish()

    def wait(_seconds: float) -> None:
        waits.append(resizer.count)
        resizer.error = None  # the decoder has started

    resizer.error = Busy()
    grey.warm(sizes, wait)
    assert set(kept(resizer)) == {"picture.png", *(size.name for size in sizes)}
    assert waits == [1]
    resizer.count = 0
    placeholder(resizer).warm(sizes, wait)
    assert resizer.count == 0, "it is there"


def test_a_storage_that_cannot_be_written_costs_only_the_files(resizer: Resizer) -> None:
    (resizer.path.parent / "storage").write_text("no folder")
    grey = placeholder(resizer)
    grey.publish()
    assert opened(grey.step(Recipe(30, 20))).size == (30, 20)
