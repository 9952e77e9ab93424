"""What the front pool asks of the fetch pool: the parameters of /_fetch, written and read."""

from __future__ import annotations

import dataclasses

from image_cloud.errors import BadParameter
from image_cloud.picture.url import Url
from image_cloud.picture.variant import Recipe
from image_cloud.request.parameter import PictureUrl
from image_cloud.request.params import ImageRequest
from image_cloud.request.query import Query

FLAGS = ("no_image", "peers", "local")


@dataclasses.dataclass(frozen=True)
class FetchRequest:
    """An original that is to be here; `recipe` is what becomes of it then, None for nothing.

    With `only_local` it is not downloaded.  `is_here` is no parameter, but has the request go by a way
    where it waits for no download.
    """

    url: Url
    recipe: Recipe | None = None
    no_image: bool = False
    use_peers: bool = False
    only_local: bool = False
    is_here: bool = dataclasses.field(default=False, compare=False)

    @classmethod
    def of(cls, wanted: ImageRequest, *, is_here: bool = False) -> FetchRequest:
        """Return what must be fetched for a client's request, or made of an original that is here."""
        flags = (wanted.no_image, wanted.use_peers, wanted.only_local, is_here)
        return cls(wanted.url, wanted.recipe, *flags)

    @property
    def address(self) -> str:
        """Return where nginx takes it."""
        return "/_variant" if self.is_here else "/_fetch"

    @classmethod
    def read(cls, query: Query) -> FetchRequest:
        """Read `url`, `variant`, `no_image`, `peers` and `local`.  Raises BadParameter, UrlForbidden."""
        recipe = _recipe(query) if query.text("variant") else None
        flags = (query.boolean(name) for name in FLAGS)
        return cls(PictureUrl().of(query), recipe, *flags)

    def arguments(self) -> dict[str, str]:
        """Return the parameters that `read` makes the same request of."""
        variant = {"variant": self.recipe.name} if self.recipe else {}
        values = (self.no_image, self.use_peers, self.only_local)
        flags = {name: str(int(value)) for name, value in zip(FLAGS, values, strict=True)}
        return {"url": self.url.text, **variant, **flags}


def _recipe(query: Query) -> Recipe:
    try:
        return Recipe.from_name(query.text("variant") or "")
    except ValueError:
        raise BadParameter("variant: not the name of a variant") from None
