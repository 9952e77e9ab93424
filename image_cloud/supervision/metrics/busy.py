"""How busy the pools are."""

from __future__ import annotations

from pathlib import Path

from image_cloud.config.sections import Pools
from image_cloud.decoding.client import Decoder
from image_cloud.metrics.definitions import (
    DECODER_ENDS,
    DECODER_PICTURES,
    DECODER_WORKERS,
    POOL_LIMIT,
    POOL_RUNNING,
)
from image_cloud.metrics.exposition import States
from image_cloud.storage.files import count_in
from image_cloud.storage.guard.guarded import Guard


def busy(storage: Path, guard: Guard, decoder: Decoder, pools: Pools) -> States:
    """Return how many requests are at work and how many may be; of the decoder nothing while it is away."""
    running = {("fetch",): guard.ask(0, count_in, storage / "incoming")}
    limits = {("fetch",): pools.fetch_queue}
    status = decoder.status()
    if status is None:
        return {POOL_RUNNING: running, POOL_LIMIT: limits}
    at_work = sum(status[state] for state in ("running", "waiting", "waiting_prefetch"))
    return {
        POOL_RUNNING: {**running, ("decoder",): at_work},
        POOL_LIMIT: {**limits, ("decoder",): pools.resize_workers + pools.resize_queue},
        DECODER_WORKERS: {(): status["workers"]},
        DECODER_PICTURES: {(end,): status[end] for end in DECODER_ENDS},
    }
