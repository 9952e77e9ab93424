"""What a peer asks a stream for: the keys of originals, one a line."""

from __future__ import annotations

from image_cloud.errors import BadRequestBody
from image_cloud.picture.key import KEY_PATTERN
from image_cloud.request.parameter import Flag, Parameters

MOST_KEYS = 1000
MOST_BYTES = MOST_KEYS * 65


class StreamParameters(Parameters):
    """The parameters of /originals."""

    def __init__(self) -> None:
        self.records_only = Flag(
            name="records_only", meaning="send what is known of each original, without its bytes"
        )


def read_keys(content: bytes) -> list[str]:
    """Return the keys of a request's body, each once.  Raises BadRequestBody."""
    keys = content.decode("ascii", "replace").split()
    if len(content) > MOST_BYTES or len(keys) > MOST_KEYS:
        raise BadRequestBody(f"at most {MOST_KEYS} keys are allowed")
    if not keys or not all(KEY_PATTERN.fullmatch(key) for key in keys):
        raise BadRequestBody("expected is one key of 64 hexadecimal digits a line")
    if len(set(keys)) < len(keys):
        raise BadRequestBody("a key was asked for twice")
    return keys
