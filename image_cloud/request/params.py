"""What a client asks for: the parameters of the endpoints for one picture."""

from __future__ import annotations

import dataclasses

from image_cloud.config.sections import THUMBNAIL_FORMATS, Resize
from image_cloud.errors import BadParameter
from image_cloud.picture.url import Url
from image_cloud.picture.variant import ALIASES, Recipe
from image_cloud.request.accept import AUTO, format_for
from image_cloud.request.parameter import (
    Age,
    Flag,
    OneOf,
    OptionalFlag,
    Parameters,
    PictureUrl,
    Word,
)
from image_cloud.request.query import Query
from image_cloud.request.recipe_params import RecipeParameters


@dataclasses.dataclass(frozen=True)
class ImageRequest:
    """One wanted picture; `recipe` is None for the original."""

    url: Url
    recipe: Recipe | None = None
    no_image: bool = False
    use_peers: bool = False
    only_local: bool = False
    max_age: int | None = None
    fallback: bool = False

    @property
    def key(self) -> str:
        """Return the cache key of the URL."""
        return self.url.key


@dataclasses.dataclass(frozen=True)
class DeleteRequest:
    """A picture to be deleted; `block` is None where an earlier block is to stay as it is."""

    url: Url
    block: bool | None = None

    def arguments(self) -> dict[str, str]:
        """Return the parameters that `DeleteParameters` makes the same request of."""
        block = {} if self.block is None else {"block": str(self.block).lower()}
        return {"url": self.url.text, **block}


class ImageParameters(RecipeParameters):
    """The parameters of /get_image; `formats` are those that can be written."""

    def __init__(self, settings: Resize, formats: tuple[str, ...]) -> None:
        self.url = PictureUrl()
        self.no_image = Flag(
            name="no_image", meaning="make sure it is cached and send nothing: 204"
        )
        super().__init__(settings, formats)
        self.use_alternativ_clouds = use_alternativ_clouds()
        self.only_send_if_local = only_send_if_local()
        self.max_age = max_age()
        self.fallback = fallback()

    def wants_fallback(self, query: Query) -> bool:
        """Say whether another picture is wanted where this one cannot be had.  Raises BadParameter."""
        return self.fallback.of(query) and not self.no_image.of(query)

    def read(self, query: Query) -> ImageRequest:
        """Read a request.  Raises BadParameter, UrlForbidden."""
        return ImageRequest(
            url=self.url.of(query),
            recipe=self.recipe(query),
            no_image=self.no_image.of(query),
            use_peers=self.use_alternativ_clouds.of(query),
            only_local=self.only_send_if_local.of(query),
            max_age=self.max_age.of(query),
            fallback=self.wants_fallback(query),
        )


class ThumbnailParameters(Parameters):
    """The parameters of /get_thumbnail."""

    def __init__(self, settings: Resize) -> None:
        self._settings = settings
        self.url = PictureUrl()
        self.size = OneOf(
            name="size",
            choices=settings.thumbnail_sizes,
            default=settings.thumbnail_size,
            meaning="sides of the box in pixels",
        )
        self.format = Word(
            name="format",
            choices=THUMBNAIL_FORMATS,
            default=settings.thumbnail_format,
            aliases=ALIASES,
            meaning="format of the thumbnail; `auto`: by the request's `Accept` ([how](#auto))",
        )
        self.max_age = max_age()
        self.fallback = fallback()

    def wants_fallback(self, query: Query) -> bool:
        """Say whether another picture is wanted where this one cannot be had.  Raises BadParameter."""
        return self.fallback.of(query)

    def recipe(self, query: Query) -> Recipe:
        """Return what is asked for.  Raises BadParameter."""
        format = self.format.of(query)
        if is_auto := format == AUTO:
            format = format_for(query.accept, self._settings.auto_formats)
        return _thumbnail(self.size.of(query), self._settings, format, is_auto=is_auto)

    def is_auto(self, query: Query) -> bool:
        """Say whether Accept decides on the answer, as far as the query can be read."""
        try:
            return self.format.of(query) == AUTO
        except BadParameter:
            return False

    def read(self, query: Query) -> ImageRequest:
        """Read a request.  Raises BadParameter, UrlForbidden."""
        return ImageRequest(
            url=self.url.of(query),
            recipe=self.recipe(query),
            max_age=self.max_age.of(query),
            fallback=self.wants_fallback(query),
        )


class InfoParameters(Parameters):
    """The parameters of /image_info."""

    def __init__(self) -> None:
        self.url = PictureUrl()
        self.use_alternativ_clouds = use_alternativ_clouds()
        self.only_send_if_local = only_send_if_local()
        self.max_age = max_age()

    def read(self, query: Query, *, only_local: bool = False) -> ImageRequest:
        """Read a request for an original that is to be here.  Raises BadParameter, UrlForbidden."""
        return ImageRequest(
            url=self.url.of(query),
            no_image=True,
            use_peers=self.use_alternativ_clouds.of(query),
            only_local=self.only_send_if_local.of(query) or only_local,
            max_age=self.max_age.of(query),
        )


class RefreshParameters(Parameters):
    """The parameters of /refresh_image."""

    def __init__(self) -> None:
        self.url = PictureUrl()


class DeleteParameters(Parameters):
    """The parameters of /delete_image."""

    def __init__(self) -> None:
        self.url = PictureUrl()
        self.block = OptionalFlag(
            name="block",
            meaning="true: forbid the URL from now on, /get_image answers 410 until `block=false`; not given:"
            " a block stays as it is",
        )

    def read(self, query: Query) -> DeleteRequest:
        """Read a request.  Raises BadParameter, UrlForbidden."""
        return DeleteRequest(self.url.of(query), self.block.of(query))


def use_alternativ_clouds() -> Flag:
    """Return the parameter that has a miss ask the peers first."""
    return Flag(
        name="use_alternativ_clouds",
        spellings=("use_alternative_clouds",),
        meaning="on a miss, ask the peers before the origin",
    )


def only_send_if_local() -> Flag:
    """Return the parameter that forbids downloads."""
    return Flag(
        name="only_send_if_local", meaning="only from this node's disk, else 404 `not_local`"
    )


def max_age() -> Age:
    """Return the parameter of the oldest copy that is sent without asking its origin."""
    return Age(
        name="max_age",
        meaning="seconds; a copy last seen at the origin longer ago is compared with it first"
        " ([how](refresh.md))",
    )


def fallback() -> Flag:
    """Return the parameter that asks for another picture where this one cannot be had."""
    return Flag(
        name="fallback",
        meaning="where the picture cannot be had, the ini's `[http] fallback_image` in its size instead of an"
        " error ([when](#fallback))",
    )


def thumbnail_recipe(size: int, settings: Resize) -> Recipe:
    """Return how a thumbnail of `size` is made before anybody asks: in the format that most will ask for."""
    is_auto = settings.thumbnail_format == AUTO
    format = settings.auto_formats[0] if is_auto else settings.thumbnail_format
    return _thumbnail(size, settings, format, is_auto=is_auto)


def thumbnail_base(size: int, settings: Resize) -> str:
    """Return the file name of a thumbnail of `size`, without its extension."""
    return _thumbnail(size, settings, "jpeg", is_auto=False).name.rpartition(".")[0]


def companions(recipe: Recipe, settings: Resize) -> list[Recipe]:
    """Return the thumbnails that are made together with `recipe`, itself left out, in its format."""
    sizes = [size for size in settings.thumbnails_together if size in settings.thumbnail_sizes]
    together = [_thumbnail(size, settings, recipe.format, is_auto=recipe.auto) for size in sizes]
    return [one for one in together if one != recipe] if recipe in together else []


def _thumbnail(size: int, settings: Resize, format: str, *, is_auto: bool) -> Recipe:
    quality = settings.thumbnail_quality
    return Recipe(size, size, "fit", format=format, quality=quality, auto=is_auto).canonical()
