"""What one pool asks of another: the parameters of /_fetch and /_resize, written and read."""

from __future__ import annotations

import dataclasses

from image_cloud.errors import BadParameter
from image_cloud.picture.key import KEY_PATTERN
from image_cloud.picture.record import Original
from image_cloud.picture.url import Url
from image_cloud.picture.variant import EXTENSIONS, Recipe
from image_cloud.request.parameter import PictureUrl
from image_cloud.request.params import ImageRequest
from image_cloud.request.query import Query


@dataclasses.dataclass(frozen=True)
class FetchRequest:
    """An original that is to be here; `recipe` is what becomes of it then, None for nothing."""

    url: Url
    recipe: Recipe | None = None
    no_image: bool = False
    use_peers: bool = False

    @classmethod
    def of(cls, wanted: ImageRequest) -> FetchRequest:
        """Return what must be fetched for a client's request."""
        return cls(wanted.url, wanted.recipe, wanted.no_image, wanted.use_peers)

    @classmethod
    def read(cls, query: Query) -> FetchRequest:
        """Read `url`, `variant`, `no_image` and `peers`.  Raises BadParameter, UrlForbidden."""
        recipe = _recipe(query) if query.text("variant") else None
        return cls(
            PictureUrl().of(query), recipe, query.boolean("no_image"), query.boolean("peers")
        )

    def arguments(self) -> dict[str, str]:
        """Return the parameters that `read` makes the same request of."""
        variant = {"variant": self.recipe.name} if self.recipe else {}
        flags = {"no_image": str(int(self.no_image)), "peers": str(int(self.use_peers))}
        return {"url": self.url.text, **variant, **flags}


@dataclasses.dataclass(frozen=True)
class ResizeRequest:
    """A variant that is to be made; with `no_image` it is only kept."""

    original: Original
    recipe: Recipe
    no_image: bool = False

    @classmethod
    def read(cls, query: Query) -> ResizeRequest:
        """Read `key`, `extension`, `private`, `variant` and `no_image`.  Raises BadParameter."""
        return cls(_original(query), _recipe(query), query.boolean("no_image"))

    def arguments(self) -> dict[str, str]:
        """Return the parameters that `read` makes the same request of."""
        return {
            "key": self.original.key,
            "extension": self.original.extension,
            "private": str(int(self.original.is_private)),
            "variant": self.recipe.name,
            "no_image": str(int(self.no_image)),
        }


def _original(query: Query) -> Original:
    key, extension = query.text("key") or "", query.text("extension") or ""
    if not KEY_PATTERN.fullmatch(key):
        raise BadParameter("key: expected 64 hexadecimal digits")
    if extension not in EXTENSIONS.values():
        raise BadParameter("extension: not that of an original")
    return Original(key, extension, query.boolean("private"))


def _recipe(query: Query) -> Recipe:
    try:
        return Recipe.from_name(query.text("variant") or "")
    except ValueError:
        raise BadParameter("variant: not the name of a variant") from None
