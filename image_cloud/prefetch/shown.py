"""A batch as JSON: for its client, in lists, and for the receiver of its callback."""

from __future__ import annotations

import datetime
from typing import Any

from image_cloud.db.prefetch.batches import Progress

STATES = ("running", "cancelling", "cancelled", "finished")
CALLBACK_STATES = ("waiting", "trying", "delivered", "given_up")


def shown(progress: Progress) -> dict[str, Any]:
    """Return how far a batch is; of its callback what became of it, and never the URL."""
    return {**facts(progress), "callback": _callback(progress) if progress.has_callback else None}


def facts(progress: Progress) -> dict[str, Any]:
    """Return how far a batch is."""
    return {
        "batch": progress.batch,
        "client": progress.client,
        "state": state(progress),
        "total": progress.total,
        "done": progress.done,
        "failed": progress.failed,
        "cancelled": progress.cancelled,
        "waiting": progress.waiting,
        "failures": progress.failures,
        "already_cached": progress.already_cached,
        "duplicates": progress.duplicates,
        "rejected": progress.rejected,
        "priority": progress.priority,
        "thumbnails": progress.thumbnails,
        "created_at": progress.created_at.isoformat(),
        "finished_at": _iso(progress.finished_at),
        "cancelled_at": _iso(progress.cancelled_at),
    }


def state(progress: Progress) -> str:
    """Return one of STATES."""
    if progress.finished_at is None:
        return "cancelling" if progress.cancelled_at else "running"
    return "cancelled" if progress.cancelled_at else "finished"


def _callback(progress: Progress) -> dict[str, Any]:
    return {
        "state": _callback_state(progress),
        "tries": progress.callback_tries,
        "code": progress.callback_code or None,
    }


def _callback_state(progress: Progress) -> str:
    if progress.callback_over:
        return "given_up" if progress.callback_code else "delivered"
    return "waiting" if progress.finished_at is None else "trying"


def _iso(moment: datetime.datetime | None) -> str | None:
    return moment.isoformat() if moment else None
