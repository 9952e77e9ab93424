"""What is asked to be explained."""

from __future__ import annotations

import dataclasses

from image_cloud.picture.url import Url
from image_cloud.request.parameter import Flag, Parameters, PictureUrl
from image_cloud.request.query import Query


class ExplainParameters(Parameters):
    """The parameters of /explain."""

    def __init__(self) -> None:
        self.url = PictureUrl()
        self.local = Flag(
            name="local", meaning="what this node alone knows; with it the scope `peer` is enough"
        )


@dataclasses.dataclass(frozen=True)
class ExplainRequest:
    """A URL, and whether its peers are asked, too."""

    url: Url
    local: bool = False

    @classmethod
    def read(cls, query: Query) -> ExplainRequest:
        """Read what ExplainParameters describe.  Raises BadParameter, UrlForbidden."""
        asked = ExplainParameters()
        return cls(asked.url.of(query), asked.local.of(query))

    def arguments(self) -> dict[str, str]:
        """Return the parameters that `read` makes the same request of."""
        return {"url": self.url.text, "local": str(self.local).lower()}
