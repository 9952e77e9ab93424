"""The names under which requests are counted."""

from __future__ import annotations

from collections.abc import Mapping

from image_cloud.history.latencies import Buckets, add
from image_cloud.metrics import definitions

PICTURE_ROUTES = ("get_thumbnail", "get_image", "iproxy.php")
OTHER, ROOT = definitions.OTHER, "root"
TIMED_ROUTES = (*PICTURE_ROUTES, "fire_and_forget", "delete_image", "changes", OTHER)
"""Routes whose latencies are kept; those of all further ones are `other`."""

RESULTS = tuple(result for result in definitions.RESULTS if result != definitions.NO_PICTURE)
"""Where pictures came from; `nginx` and `front` are hits, the first those that nothing but nginx answered."""


NO_CLIENT = "-"
"""Who asks without a good token: the name of no client."""


def pictures(latencies: Mapping[str, Buckets]) -> Buckets:
    """Return the latencies of all pictures."""
    sums: Buckets = {}
    for route in PICTURE_ROUTES:
        add(sums, latencies.get(route, {}))
    return sums
