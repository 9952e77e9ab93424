"""What POST /refresh_image answers."""

from __future__ import annotations

from typing import Any

from image_cloud.picture.url import Url
from image_cloud.refresh.refresher import Refresher
from image_cloud.storage.store import Store


class RefreshAnswers:
    """Asks through `refresher`, and tells what `store` has then."""

    def __init__(self, refresher: Refresher, store: Store) -> None:
        self._refresher = refresher
        self._store = store

    def refresh(self, url: Url) -> dict[str, Any]:
        """Ask the origin of `url` now; return what came of it, as JSON.  Raises what the origin says."""
        look, record = self._refresher.refresh(url)
        seen = self._store.seen(url.key)
        return {
            "url": url.text,
            "key": url.key,
            "changed": look.is_changed,
            "sha256": record.sha256,
            "format": record.format,
            "bytes": record.bytes,
            "stored_at": record.stored_at,
            "checked_at": seen.at if seen else record.stored_at,
        }
