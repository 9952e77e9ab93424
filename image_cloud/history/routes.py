"""The names under which requests are counted."""

from __future__ import annotations

from collections.abc import Mapping

from image_cloud.history.latencies import Buckets, add

PICTURE_ROUTES = ("get_thumbnail", "get_image", "iproxy.php")
TIMED_ROUTES = (*PICTURE_ROUTES, "fire_and_forget", "delete_image", "changes", "other")
"""Routes whose latencies are kept; those of all further ones are `other`."""

RESULTS = ("nginx", "front", "miss", "peer", "resized", "stale", "fallback")
"""Where pictures came from; the first two are hits, `nginx` those that nothing but nginx answered."""


def pictures(latencies: Mapping[str, Buckets]) -> Buckets:
    """Return the latencies of all pictures."""
    sums: Buckets = {}
    for route in PICTURE_ROUTES:
        add(sums, latencies.get(route, {}))
    return sums
