"""A worker that waits for the next request as long as it takes."""

from __future__ import annotations

from falcon_app.keeping_worker import KeepingWorker


class Patient(KeepingWorker):
    stays_s = 600.0
