"""What the front pool asks of the fetch pool: the parameters of /_fetch, written and read."""

from __future__ import annotations

import dataclasses

from image_cloud.errors import BadParameter
from image_cloud.picture.url import Url
from image_cloud.picture.variant import Recipe
from image_cloud.request.parameter import PictureUrl
from image_cloud.request.params import ImageRequest, max_age
from image_cloud.request.query import Query

HERE = "/_variant"
FLAGS = ("no_image", "peers", "local")


@dataclasses.dataclass(frozen=True)
class FetchRequest:
    """An original that is to be here; `recipe` is what becomes of it then, None for nothing.

    With `only_local` it is not downloaded; one that is here and was last seen at the origin longer than
    `max_age` seconds ago is compared with it.  `is_here` is no parameter, but has the request go by a way
    where it waits for no download.  With `fallback` another picture is sent where this one cannot be had.
    """

    url: Url
    recipe: Recipe | None = None
    no_image: bool = False
    use_peers: bool = False
    only_local: bool = False
    max_age: int | None = None
    fallback: bool = False
    is_here: bool = dataclasses.field(default=False, compare=False)

    @classmethod
    def of(
        cls, wanted: ImageRequest, *, is_here: bool = False, is_old: bool = False
    ) -> FetchRequest:
        """Return what must be fetched for a client's request, or made of an original that is here.

        The origin is asked again only for one that `is_old`.
        """
        return cls(
            url=wanted.url,
            recipe=wanted.recipe,
            no_image=wanted.no_image,
            use_peers=wanted.use_peers,
            only_local=wanted.only_local,
            max_age=wanted.max_age if is_old else None,
            fallback=wanted.fallback,
            is_here=is_here,
        )

    @property
    def address(self) -> str:
        """Return where nginx takes it."""
        return HERE if self.is_here else "/_fetch"

    @classmethod
    def read(cls, query: Query, *, is_here: bool = False) -> FetchRequest:
        """Read what `arguments` writes.  Raises BadParameter, UrlForbidden."""
        recipe = _recipe(query) if query.text("variant") else None
        no_image, use_peers, only_local = (query.boolean(name) for name in FLAGS)
        age, fallback = max_age().of(query), query.boolean("fallback")
        url = PictureUrl().of(query)
        return cls(url, recipe, no_image, use_peers, only_local, age, fallback, is_here)

    def arguments(self) -> dict[str, str]:
        """Return the parameters that `read` makes the same request of."""
        variant = {"variant": self.recipe.name} if self.recipe else {}
        values = (self.no_image, self.use_peers, self.only_local)
        flags = {name: str(int(value)) for name, value in zip(FLAGS, values, strict=True)}
        age = {} if self.max_age is None else {"max_age": str(self.max_age)}
        fallback = {"fallback": "1"} if self.fallback else {}
        return {"url": self.url.text, **variant, **flags, **age, **fallback}


@dataclasses.dataclass(frozen=True)
class FallbackRequest:
    """Another picture in place of one that cannot be had, in the size that `recipe` asks for."""

    recipe: Recipe | None = None
    address: str = dataclasses.field(default="/_fallback", init=False)

    @classmethod
    def read(cls, query: Query) -> FallbackRequest:
        """Read what `arguments` writes.  Raises BadParameter."""
        return cls(_recipe(query) if query.text("variant") else None)

    def arguments(self) -> dict[str, str]:
        """Return the parameters that `read` makes the same request of."""
        return {"variant": self.recipe.name} if self.recipe else {}


def _recipe(query: Query) -> Recipe:
    try:
        return Recipe.from_name(query.text("variant") or "")
    except ValueError:
        raise BadParameter("variant: not the name of a variant") from None
