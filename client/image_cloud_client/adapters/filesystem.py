"""Pictures as files of fsspec: `imagecloud://http://shop.example/a.jpg` reads through Image Cloud.

Whatever reads by fsspec reads so (pandas, datasets, webdataset, dask).  A file is fetched when it is opened.
"""

from __future__ import annotations

import io
from typing import Any

from fsspec.spec import AbstractFileSystem

from image_cloud_client.client import Client
from image_cloud_client.errors import Blocked, ImageCloudError, NotLocal, OriginNotFound
from image_cloud_client.options import Options

ABSENT = (OriginNotFound, Blocked, NotLocal)


class ImageCloudFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """Reads pictures with the Client that these arguments make, thumbnails where there is a `size`."""

    protocol = "imagecloud"
    cachable = False  # instances would be kept by their arguments, the token among them

    def __init__(
        self,
        urls: list[str],
        token: str,
        *,
        size: int | None = None,
        options: Options | None = None,
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self._client = Client(urls, token)
        self._size, self._options = size, options or Options()

    def __repr__(self) -> str:
        return f"ImageCloudFileSystem({self._client!r})"

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        """Return the picture's URL, byte for byte."""
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        return str(path).removeprefix("imagecloud://")

    def expand_path(self, path: Any, **_more: Any) -> list[str]:
        """Return the URLs as they are: ? and * in them are no patterns."""
        stripped = self._strip_protocol(path)
        return stripped if isinstance(stripped, list) else [stripped]

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_more: Any
    ) -> bytes:
        """Return a picture, or a part of it.  Raises FileNotFoundError, ImageCloudError."""
        return self._fetch(self._strip_protocol(path))[start:end]

    def info(self, path: str, **_more: Any) -> dict[str, Any]:
        """Return name, size and type; the picture is fetched for it."""
        url = self._strip_protocol(path)
        return {"name": url, "size": len(self._fetch(url)), "type": "file"}

    def exists(self, path: str, **_more: Any) -> bool:
        """Say whether the picture can be had."""
        try:
            self._fetch(self._strip_protocol(path))
        except (FileNotFoundError, ImageCloudError):
            return False
        return True

    def ls(self, path: str, detail: bool = True, **_more: Any) -> list[Any]:
        """List the one file that a picture is."""
        info = self.info(path)
        return [info] if detail else [info["name"]]

    def _open(self, path: str, mode: str = "rb", **_more: Any) -> io.BytesIO:
        if mode != "rb":
            raise NotImplementedError("pictures are read, not written")
        return io.BytesIO(self._fetch(path))

    def _fetch(self, url: str) -> bytes:
        try:
            if self._size is None:
                return self._client.get(url, **self._options)
            return self._client.thumbnail(url, self._size, **self._options)  # type: ignore[misc]
        except ABSENT as error:
            raise FileNotFoundError(f"{url}: {error}") from error
