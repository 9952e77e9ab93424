"""What a decoder is asked for.

A plan is one message on the daemon's unix socket: a head (class of the request, whether the picture is large,
length), then JSON.  With it
come descriptors: where the answer goes, the picture, and its ladder where there is one.
"""

from __future__ import annotations

import dataclasses
import json
import struct

from image_cloud.picture.variant import Recipe

HEAD = struct.Struct("!B?I")
VISITOR, PREFETCH = 0, 1
"""The classes of requests: somebody waits for the first."""
LARGE_PIXELS = 20_000_000
"""Pictures of more take hundreds of megabytes: the daemon decodes one of them at a time."""
MOST_BYTES = 16 * 1024
MOST_RECIPES = 100
LEAST_DESCRIPTORS, MOST_DESCRIPTORS = 2, 3
NO_STEPS, AS_DECODED, FINE = "none", "as decoded", "fine"
"""Which ladder is made along with the variants; the values of image_cloud.resize.Steps."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """The variants to make of one picture; the first is what was asked for.

    Without any, the picture's facts are wanted.
    `ladder` says which ladder is wanted beside them.  `request_id` is for log lines.
    """

    recipes: tuple[Recipe, ...] = ()
    ladder: str = NO_STEPS
    request_id: str = "-"

    def message(self, kind: int, *, is_large: bool = False) -> bytes:
        """Return what goes over the socket for a request of the class `kind`."""
        names = [recipe.name for recipe in self.recipes]
        text = json.dumps([names, self.ladder, self.request_id]).encode()
        return HEAD.pack(kind, is_large, len(text)) + text

    @classmethod
    def read(cls, text: bytes) -> Plan:
        """Read the JSON of a message.  Raises ValueError."""
        try:
            names, ladder, request_id = json.loads(text)
            recipes = tuple(Recipe.from_name(name) for name in names)
        except TypeError as error:
            raise ValueError(str(error)) from None
        if len(recipes) > MOST_RECIPES or ladder not in (NO_STEPS, AS_DECODED, FINE):
            raise ValueError("not a plan")
        return cls(recipes, ladder, str(request_id))


def complete(received: bytes) -> bool:
    """Say whether a message has come in full.  Raises ValueError for what can never be one."""
    if len(received) < HEAD.size:
        return False
    kind, _, length = HEAD.unpack_from(received)
    if kind not in (VISITOR, PREFETCH) or length > MOST_BYTES:
        raise ValueError("not a plan")
    return len(received) >= HEAD.size + int(length)
