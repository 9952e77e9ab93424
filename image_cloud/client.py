"""The client library, as whoever has the server's package finds it; `client/` is its home."""

from image_cloud_client import (
    Batch,
    Client,
    ImageCloudError,
    Options,
    UnexpectedAnswer,
    Unreachable,
    errors,
    sign,
)

__all__ = [
    "Batch",
    "Client",
    "ImageCloudError",
    "Options",
    "UnexpectedAnswer",
    "Unreachable",
    "errors",
    "sign",
]
