"""Every metric of a node.  docs/metrics.md is made of this (image_cloud/metrics/reference.py)."""

from __future__ import annotations

import itertools

from image_cloud import errors
from image_cloud.errors import ImageCloudError
from image_cloud.metrics.series import Counter, Definition, Gauge, Histogram, Labels, State

OTHER, NO_CLIENT, NO_PICTURE, OK = "other", "none", "none", "ok"
BROUGHT = ("peer", "miss", "resized", "stale", "fallback")
RESULTS = ("nginx", "front", *BROUGHT, NO_PICTURE)
PICTURE_ROUTES = ("/get_image", "/get_thumbnail")
FAST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SLOW_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0)


def _each(*values: str) -> tuple[Labels, ...]:
    return tuple((value,) for value in values)


def _codes(*roots: type[ImageCloudError]) -> tuple[Labels, ...]:
    """Return how work may end that raises these errors and what is derived of them."""
    found = {one.code for root in roots for one in (root, *errors.subclasses(root))}
    return _each(OK, *sorted(found))


def _known_requests() -> tuple[Labels, ...]:
    """Return what a picture's request usually comes to, and what operators are alerted of."""
    good = itertools.product(PICTURE_ROUTES, RESULTS[:-1], ("200",), (NO_CLIENT,))
    bad = itertools.product(
        PICTURE_ROUTES, (NO_PICTURE,), ("404", "500", "502", "503"), (NO_CLIENT,)
    )
    return (*good, *bad)


# --- requests ------------------------------------------------------------------------------------

GROUP = "Requests"
REQUESTS = Counter(
    "requests_total",
    "Requests that nginx answered, by route, where the picture came from, status and token's client.",
    ("route", "result", "status", "client"),
    _known_requests(),
    group=GROUP,
)
REQUEST_SECONDS = Histogram(
    "request_duration_seconds",
    "Time from a request's first byte to its answer's last one.",
    ("route", "result"),
    tuple(itertools.product(PICTURE_ROUTES, RESULTS)),
    buckets=FAST_S,
    group=GROUP,
)
SENT_BYTES = Counter(
    "sent_bytes_total",
    "Bytes sent to clients, headers included.",
    ("route",),
    _each(*PICTURE_ROUTES),
    group=GROUP,
)

# --- downloads, resizes, clones ------------------------------------------------------------------

GROUP = "Downloads, resizes, clones"
DOWNLOADS = Counter(
    "downloads_total",
    "Downloads from origins, by how they ended: `ok`, `unchanged` (a refresh), or the code of an error.",
    ("outcome",),
    _each("unchanged")
    + _codes(
        errors.OriginFailed, errors.OriginNotFound, errors.OriginTimeout, errors.OriginPaused, errors.Busy,
        errors.UnusableImage, errors.ImageTooLarge, errors.RobotsRefused, errors.UrlForbidden,
        errors.StorageUnavailable, errors.DeletedMeanwhile,
    ),
    group=GROUP,
)  # fmt: skip
DOWNLOAD_SECONDS = Histogram(
    "download_duration_seconds",
    "Time of a download, the wait for a slot of its domain included, whatever its end.",
    buckets=SLOW_S,
    group=GROUP,
)
DOWNLOADED_BYTES = Counter(
    "downloaded_bytes_total", "Bytes of pictures that came from origins.", group=GROUP
)
UNSTORED = Counter(
    "unstored_passes_total",
    "Originals that were passed on from memory because the storage took nothing.",
    group=GROUP,
)
RESIZES = Counter(
    "resizes_total",
    "Decoded pictures, by how it ended: `ok`, or the code of an error; a picture's further sizes come along.",
    ("outcome",),
    _codes(errors.UnusableImage, errors.ImageTooLarge, errors.Busy, errors.DecoderAway),
    group=GROUP,
)
RESIZE_SECONDS = Histogram(
    "resize_duration_seconds",
    "Time from a request to the decoder to the wanted variant, the wait for a worker included.",
    buckets=SLOW_S,
    group=GROUP,
)
CLONES = Counter(
    "clones_total",
    "Tries to clone a picture, by how they ended: `ok`, or the code of an error.",
    ("outcome",),
    _codes(
        errors.NotLocal, errors.PeerAway, errors.PeerBroken, errors.UnusableImage,
        errors.StorageUnavailable,
    ),
    group=GROUP,
)  # fmt: skip
CLONE_SECONDS = Histogram(
    "clone_duration_seconds", "Time of such a try.", buckets=SLOW_S, group=GROUP
)

# --- domains -------------------------------------------------------------------------------------

GROUP = "Domains"
DOMAIN_STATES = ("paused", "broken", "half-open", "failing")
DOMAINS = State("domains", "Domains in trouble, by state.", ("state",), group=GROUP)
DOMAIN_PAUSE = State(
    "domain_pause_seconds",
    "Time until the domain is asked again: the 50 that are asked last, and the longest of the `other` ones.",
    ("domain",),
    group=GROUP,
)
DOMAIN_FAILURES = State(
    "domain_failures",
    "Failures in a row: of the same 50 domains, and the sum of the `other` ones in trouble.",
    ("domain",),
    group=GROUP,
)
DOMAIN_SLOTS_USED = State(
    "domain_slots_used",
    "Downloads under way: of the same domains, then of those in max_downloads.json, 50 in all.",
    ("domain",),
    group=GROUP,
)
DOMAIN_SLOTS = State(
    "domain_slots_allowed", "Downloads that the domain may have at once.", ("domain",), group=GROUP
)

# --- queues and pools ----------------------------------------------------------------------------

GROUP = "Queues and pools"
POOL_RUNNING = State("pool_running", "Requests at work.", ("pool",), group=GROUP)
POOL_LIMIT = State("pool_limit", "Most requests, waiting ones included.", ("pool",), group=GROUP)
PREFETCH_URLS = Gauge(
    "prefetch_urls",
    "URLs of batches: they wait for their turn, are worked on, or wait for another try (`later`).",
    ("state",),
    group=GROUP,
)
PREFETCH_BATCHES = Gauge("prefetch_batches", "Batches that have not ended.", group=GROUP)
PREFETCH_OLDEST = Gauge(
    "prefetch_oldest_batch_seconds", "Age of the oldest batch that has not ended.", group=GROUP
)
CLONE_REQUESTS = Gauge("clone_requests", "Pictures to clone: the backlog.", group=GROUP)
CLONE_OLDEST = Gauge(
    "clone_oldest_request_seconds", "For how long the first of them has been due.", group=GROUP
)
DECODER_WORKERS = State("decoder_workers", "Processes that decode.", group=GROUP)
DECODER_ENDS = ("done", "deaths", "kills", "refused")
DECODER_PICTURES = State(
    "decoder_pictures_total",
    "What became of pictures since the decoder started: `deaths` are workers that ended at one, `kills` "
    "those of them that took too long; `refused` found the queue full.",
    ("end",),
    kind="counter",
    group=GROUP,
)

# --- peers ---------------------------------------------------------------------------------------

GROUP = "Peers"
PEER_ALIVE = State(
    "peer_alive", "1 where the peer answered in the last 30 s.", ("peer",), group=GROUP
)
PEER_SILENT = State(
    "peer_silent_seconds", "Time since the peer's feed was read last.", ("peer",), group=GROUP
)
PEER_BACKLOG = State(
    "peer_backlog",
    "Pictures that the peer has still to clone, as it says itself.",
    ("peer",),
    group=GROUP,
)
PEER_REQUESTS = Gauge(
    "peer_clone_requests", "Pictures to clone that this peer told of.", ("peer",), group=GROUP
)
PEER_LAG = Gauge(
    "peer_lag_seconds",
    "Time since this node had read the peer's feed to its end: up to a minute where nothing happens there.",
    ("peer",),
    group=GROUP,
)
FEED_HELD = Gauge(
    "feed_held_seconds",
    "For how long a transaction has held this node's own feed back.",
    group=GROUP,
)
PEER_FEED_HELD = State(
    "peer_feed_held_seconds",
    "For how long a transaction on the peer has held its feed back.",
    ("peer",),
    group=GROUP,
)
FEED_STOPPED = State("feed_stopped", "1 where the peer deletes too much.", ("peer",), group=GROUP)

# --- storage -------------------------------------------------------------------------------------

GROUP = "Storage"
STORAGE_BYTES = State("storage_size_bytes", "Size of the file system of `storage`.", group=GROUP)
FREE_BYTES = State("storage_free_bytes", "Bytes that are free there.", group=GROUP)
STORAGE_INODES = State(
    "storage_inodes", "Inodes there; 0 where they are made as needed.", group=GROUP
)
FREE_INODES = State("storage_free_inodes", "Inodes that are free there.", group=GROUP)
UNRECORDED = State(
    "unrecorded_originals", "Originals that the database does not know.", group=GROUP
)
QUARANTINED = State("quarantined_files", "Files in `quarantine/`.", group=GROUP)
VARIANTS_BYTES = Gauge(
    "variants_bytes", "Bytes of all variants, as the janitor counted last.", group=GROUP
)
VARIANTS = Gauge("variants", "Files of variants, as the janitor counted last.", group=GROUP)
VARIANTS_LIMIT = Gauge(
    "variants_limit_bytes", "What variants may take (`variants_max_bytes`).", group=GROUP
)
EVICTED = Counter("evicted_variants_total", "Variants that were evicted.", group=GROUP)
EVICTED_BYTES = Counter("evicted_bytes_total", "Bytes of evicted variants.", group=GROUP)
AUDITED_BYTES = Counter(
    "audited_bytes_total", "Bytes of originals that the audit read.", group=GROUP
)
AUDIT_POSITION = Gauge(
    "audit_position_ratio", "How far the audit is in the originals, from 0 to 1.", group=GROUP
)
AUDIT_FINISHED = Gauge(
    "audit_finished_timestamp_seconds",
    "When the audit last came to its end, seconds since 1970; 0: not yet.",
    group=GROUP,
)
FOUND_WRONG = ("damaged", "truncated", "missing", "unrecorded", "inconsistent")
AUDIT_FINDINGS = Counter(
    "audit_findings_total",
    "What the audit found wrong, and what it did: `recorded`, `fetched`, `set aside`, `lost` or `failed`.",
    ("kind", "done"),
    (
        *itertools.product(FOUND_WRONG, ("fetched",)),
        *itertools.product(FOUND_WRONG, ("lost", "failed")),
    ),
    group=GROUP,
)

# --- the node ------------------------------------------------------------------------------------

GROUP = "The node"
UP = State("up", "1 where the part works: storage, database, each pool.", ("part",), group=GROUP)
HEARTBEAT_AGE = State(
    "heartbeat_age_seconds",
    "Time since the last sign of life of a pool, or of the slowest of a daemon's threads of one kind.",
    ("program", "thread"),
    group=GROUP,
)
PROGRAMS = ("front", "fetch", "control", "decoder", "janitor", "peer-clone", "prefetch", "sampler")
WATCHDOG_KILLS = Counter(
    "watchdog_kills_total",
    "Times that the watchdog found a program hung.",
    ("program",),
    _each(*PROGRAMS),
    group=GROUP,
)
RESTARTS = Counter(
    "program_restarts_total",
    "Times that supervisord restarted a program which had ended by itself, or was killed.",
    ("program",),
    _each(*PROGRAMS),
    group=GROUP,
)
ALARMING = (
    "lost", "thread_died", "deletes_stopped", "limits_refused", "tokens_refused", "peer_token_refused",
    "origins_refused", "unexpected", "not_healed",
)  # fmt: skip
LOG_EVENTS = Counter(
    "log_events_total",
    "Warnings and errors in the logs of pools and daemons, by their `event=`.",
    ("event",),
    _each(*ALARMING),
    group=GROUP,
)
BUILD_INFO = State(
    "build_info", "1; the labels say what runs.", ("version", "python", "imaging"), group=GROUP
)


def all_definitions() -> tuple[Definition, ...]:
    """Return every metric, in the order of this file."""
    return tuple(one for one in globals().values() if isinstance(one, Definition))
