"""A worker that waits for the next request as long as it takes."""

from __future__ import annotations

from falcon_app import keeping_worker
from falcon_app.keeping_worker import KeepingWorker

keeping_worker.STAYS_S = 600.0
Patient = KeepingWorker
