"""What the last minutes were like, in a few figures."""

from __future__ import annotations

from typing import Any

from image_cloud.db.history import HistoryReader
from image_cloud.history.latencies import percentiles
from image_cloud.history.routes import pictures
from image_cloud.history.sample import Sample
from image_cloud.history.windows import hit_share

LENGTH_S, STEP_S = 600, 60


def lately(file: HistoryReader, now: float) -> dict[str, Any] | None:
    """Return rates, hit share, latency and the disk's days of the last ten minutes; None without samples."""
    found = file.samples(STEP_S, now - LENGTH_S, now + STEP_S)
    if not found:
        return None
    whole = Sample()
    for _, packed in found:
        whole.add(Sample.unpack(packed))
    seconds = max(now - found[0][0], 1.0)
    (p95_s,) = percentiles(pictures(whole.latencies), [0.95])
    return {
        "seconds": round(seconds),
        "requests_per_s": round(whole.counts.get("requests", 0) / seconds, 3),
        "errors_5xx_per_s": round(whole.counts.get("errors_5xx", 0) / seconds, 4),
        "hit_share": hit_share(whole),
        "p95_s": p95_s,
        "disk_days_left": whole.mean("disk_days_left"),
    }
