"""The client: every call of the HTTP API that those who use pictures need."""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Unpack, cast

from image_cloud_client.batches import Batch, hand_over
from image_cloud_client.errors import Forbidden
from image_cloud_client.info import Info
from image_cloud_client.many import Arrived, many
from image_cloud_client.nodes import Nodes
from image_cloud_client.options import Options, ThumbnailOptions, address, pairs, wanted
from image_cloud_client.problems import document_of, picture_of
from image_cloud_client.signing import sign

if TYPE_CHECKING:
    from PIL.Image import Image

WIDTHS = (200, 400, 800, 1200)


class Client:
    """Asks the nodes at `urls`, the first that answers, with `token`; `name` is the token's client.

    Threads may share one.  A call waits up to `patience_s` in all where nodes are away or ask for
    patience (Retry-After), and `timeout_s` for a node to say something.  Every error that a node answers
    is an ImageCloudError, the class says which.  `connections` are kept open to each node.
    """

    def __init__(
        self,
        urls: Sequence[str],
        token: str,
        *,
        name: str | None = None,
        timeout_s: float = 60.0,
        patience_s: float = 30.0,
        connections: int = 64,
        ca_file: str | None = None,
    ) -> None:
        self.name = name
        self._nodes = Nodes(
            urls, token, timeout_s=timeout_s, patience_s=patience_s, connections=connections,
            ca_file=ca_file,
        )  # fmt: skip

    def __repr__(self) -> str:
        named = "" if self.name is None else f", name={self.name!r}"
        return f"Client({self.urls!r}{named})"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._nodes.close()

    @property
    def urls(self) -> list[str]:
        """Return the URLs of the nodes."""
        return [node.base for node in self._nodes.nodes]

    @property
    def headers(self) -> dict[str, str]:
        """Return the header that opens what `url` returns, for those who ask by themselves.  It is secret."""
        return {"X-Image-Cloud-Token": self._nodes.token}

    def url(self, url: str, size: int | None = None, **options: Unpack[Options]) -> str:
        """Return a picture's address at the first node, a thumbnail's with `size`.

        It opens with `headers` alone.
        """
        return address(self.urls[0], *wanted(url, size, options))

    def signed_url(
        self,
        url: str,
        size: int | None = None,
        *,
        expires_in_s: float = 3600,
        **options: Unpack[Options],
    ) -> str:
        """Return an address that anyone may open until it expires.  Needs the client's `name`."""
        expires = int(time.time() + expires_in_s)
        return self._signed(wanted(url, size, options), expires)

    def srcset(
        self,
        url: str,
        widths: Iterable[int] = WIDTHS,
        *,
        expires_in_s: float | None = 3600,
        **options: Unpack[Options],
    ) -> str:
        """Return the value of <img srcset> for these widths, signed; not signed with `expires_in_s=None`."""
        expires = None if expires_in_s is None else int(time.time() + expires_in_s)
        sources = []
        for width in widths:
            path, parameters = wanted(url, None, {**options, "resize_width": width})
            if expires is None:
                sources.append(f"{address(self.urls[0], path, parameters)} {width}w")
            else:
                sources.append(f"{self._signed((path, parameters), expires)} {width}w")
        return ", ".join(sources)

    def get(self, url: str, **options: Unpack[Options]) -> bytes:
        """Return a picture: the original, unless `options` ask for something else."""
        return self._picture(url, None, options)

    def thumbnail(self, url: str, size: int = 200, **options: Unpack[ThumbnailOptions]) -> bytes:
        """Return a JPEG that fits into a box of `size` pixels."""
        return self._picture(url, size, options)

    def image(self, url: str, size: int | None = None, **options: Unpack[Options]) -> Image:
        """Return a picture as PIL has it, decoded.  Needs Pillow."""
        from PIL import Image

        image = Image.open(io.BytesIO(self._picture(url, size, options)))
        image.load()
        return image

    def get_many(
        self,
        urls: Iterable[str],
        workers: int = 8,
        *,
        size: int | None = None,
        **options: Unpack[Options],
    ) -> Iterator[Arrived]:
        """Yield each URL with its bytes, or the error of it, in the order of arrival.

        At most twice `workers` pictures are in memory; `urls` may be endless.  Who leaves the loop waits
        for none of them.
        """
        _check_list(urls)
        wanted("", size, options)  # a mistake in the options is not one of every picture
        return many(urls, workers, lambda url: self._picture(url, size, options))

    def info(
        self,
        url: str,
        *,
        max_age: int | None = None,
        use_alternativ_clouds: bool | None = None,
        only_send_if_local: bool | None = None,
    ) -> Info:
        """Return what is known of a picture: size, hashes, times, and more; it is fetched if need be."""
        told = self._json(
            "GET", "/image_info", url=url, max_age=max_age,
            use_alternativ_clouds=use_alternativ_clouds, only_send_if_local=only_send_if_local,
        )  # fmt: skip
        return cast(Info, told)

    def prefetch(
        self,
        urls: Iterable[str],
        *,
        thumbnails: Sequence[int] = (),
        priority: int | None = None,
        max_age: int | None = None,
        callback: str | None = None,
    ) -> Batch:
        """Have up to 100,000 URLs fetched in advance; return the batch as soon as a node has it for good."""
        _check_list(urls)
        order: dict[str, Any] = {"urls": list(urls), "thumbnails": list(thumbnails)}
        more = {"priority": priority, "max_age": max_age, "callback": callback}
        order |= {name: value for name, value in more.items() if value is not None}
        return hand_over(self._nodes, order)

    def refresh(self, url: str) -> dict[str, Any]:
        """Have the origin asked now whether the picture has changed: changed, sha256, and more."""
        return self._json("POST", "/refresh_image", url=url)

    def delete(self, url: str, *, block: bool | None = None) -> dict[str, Any]:
        """Delete a picture on all nodes; `block` also forbids its URL, or allows it again.

        Whichever node takes deletes is found.
        """
        return self._json("DELETE", "/delete_image", url=url, block=block)

    def _picture(self, url: str, size: int | None, options: Mapping[str, object]) -> bytes:
        answer, _ = self._nodes.ask("GET", *wanted(url, size, options))
        return picture_of(answer)

    def _json(self, method: str, path: str, **parameters: object) -> dict[str, Any]:
        answer, _ = self._nodes.ask(
            method, path, pairs(parameters), elsewhere=lambda error: type(error) is Forbidden
        )
        return document_of(answer)

    def _signed(self, asked: tuple[str, list[tuple[str, str]]], expires: int) -> str:
        if self.name is None:
            raise ValueError("name: a signature needs the name of the token's client")
        path, parameters = asked
        return sign(
            self.urls[0], path, parameters, client=self.name, token=self._nodes.token,
            expires=expires,
        )  # fmt: skip


def _check_list(urls: Iterable[str]) -> None:
    if isinstance(urls, str):  # whose characters would be taken for URLs
        raise TypeError("urls: expected is a list of URLs")
