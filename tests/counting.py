"""Metrics of tests' own; also processes that tests start count with them."""

from image_cloud.metrics.series import Counter, Gauge, Histogram

EVENTS = Counter("events_total", "Events.", ("kind",), (("known",),))
SECONDS = Histogram("event_duration_seconds", "How long.", buckets=(0.1, 1.0))
LEVEL = Gauge("level", "A level.")
