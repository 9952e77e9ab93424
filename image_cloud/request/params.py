"""What a client asks for: the parameters of /get_image and /get_thumbnail, checked."""

from __future__ import annotations

import dataclasses

from image_cloud.config.sections import Resize
from image_cloud.errors import BadParameter
from image_cloud.picture.url import Url
from image_cloud.picture.variant import ALIASES, Recipe
from image_cloud.request.query import Query

_THUMBNAIL = ("url", "size")
PARAMETERS = {
    "/get_image": (
        "url", "no_image", "resize_width", "resize_height", "keep_aspect_ratio", "force_to_size",
        "enlarge", "format_when_resize", "quality", "use_alternativ_clouds",
        "use_alternative_clouds", "only_send_if_local",
    ),
    "/get_thumbnail": _THUMBNAIL,
    "/iproxy.php": _THUMBNAIL,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class ImageRequest:
    """One wanted picture; `recipe` is None for the original."""

    url: Url
    recipe: Recipe | None = None
    no_image: bool = False
    use_peers: bool = False
    only_local: bool = False

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
        """Return the parameters that `delete_request` makes the same request of."""
        block = {} if self.block is None else {"block": str(self.block).lower()}
        return {"url": self.url.text, **block}


def image_request(query: Query, settings: Resize, formats: tuple[str, ...]) -> ImageRequest:
    """Read the parameters of /get_image; `formats` are those that can be written.

    Raises BadParameter, UrlForbidden.
    """
    return ImageRequest(
        url=picture_url(query),
        recipe=_recipe(query, settings, formats),
        no_image=query.boolean("no_image"),
        use_peers=query.boolean("use_alternativ_clouds", "use_alternative_clouds"),
        only_local=query.boolean("only_send_if_local"),
    )


def thumbnail_request(query: Query, settings: Resize) -> ImageRequest:
    """Read the parameters of /get_thumbnail.  Raises BadParameter, UrlForbidden."""
    url = picture_url(query)
    size = query.whole("size", 1, 65535) or settings.thumbnail_size
    if size not in settings.thumbnail_sizes:
        allowed = ", ".join(map(str, settings.thumbnail_sizes))
        raise BadParameter(f"size: {size} is not one of {allowed}")
    return ImageRequest(url, thumbnail_recipe(size, settings))


def thumbnail_recipe(size: int, settings: Resize) -> Recipe:
    """Return how a thumbnail of `size` is made."""
    return Recipe(size, size, "fit", False, "jpeg", settings.thumbnail_quality)


def companions(recipe: Recipe, settings: Resize) -> list[Recipe]:
    """Return the thumbnails that are made together with `recipe`, itself left out."""
    sizes = [size for size in settings.thumbnails_together if size in settings.thumbnail_sizes]
    together = [thumbnail_recipe(size, settings) for size in sizes]
    return [one for one in together if one != recipe] if recipe in together else []


def delete_request(query: Query) -> DeleteRequest:
    """Read the parameters of /delete_image.  Raises BadParameter, UrlForbidden."""
    block = query.boolean("block") if query.text("block") is not None else None
    return DeleteRequest(picture_url(query), block)


def picture_url(query: Query) -> Url:
    """Read `url`.  Raises BadParameter, UrlForbidden."""
    text = query.text("url")
    if text is None:
        raise BadParameter("url: missing; expected is the absolute http or https URL of a picture")
    return Url.parse(text)


def _recipe(query: Query, settings: Resize, formats: tuple[str, ...]) -> Recipe | None:
    width = query.side("resize_width", settings.max_side)
    height = query.side("resize_height", settings.max_side)
    keep_ratio = query.boolean("keep_aspect_ratio", default=True)
    force = query.boolean("force_to_size")
    enlarge = query.boolean("enlarge")
    fmt = query.choice("format_when_resize", formats, settings.format_when_resize, ALIASES)
    quality = query.whole("quality", 1, 100) or settings.quality
    if force and not (width and height):
        raise BadParameter("force_to_size: needs both resize_width and resize_height")
    if not (width or height):
        return None
    mode = "stretch" if not keep_ratio else "pad" if force else "fit"
    return Recipe(width or 0, height or 0, mode, enlarge and mode != "stretch", fmt, quality)
