"""What works, the disk, the processes' signs of life, and the build."""

from __future__ import annotations

import os
import platform
import re
import time
from importlib import metadata
from pathlib import Path

from image_cloud import __version__
from image_cloud.metrics.definitions import (
    BUILD_INFO,
    FREE_BYTES,
    FREE_INODES,
    HEARTBEAT_AGE,
    QUARANTINED,
    STORAGE_BYTES,
    STORAGE_INODES,
    UNRECORDED,
    UP,
)
from image_cloud.metrics.exposition import States
from image_cloud.metrics.series import Labels
from image_cloud.storage.files import count_in
from image_cloud.storage.guard.guarded import Guard
from image_cloud.supervision.readiness import OK, Readiness

_NUMBERS = re.compile(r"^\d+(\.|$)|-\d+$")  # of processes, and of threads of one kind
IMAGING = ("pillow-simd", "pillow")


def machine(storage: Path, guard: Guard, run: Path, readiness: Readiness) -> States:
    """Return the state of the node's parts, its disk and its processes; not of a storage that is away."""
    states = readiness.state() | readiness.pools() | {"control": OK}  # which answers this
    return {
        UP: {(part,): int(state == OK) for part, state in states.items()},
        BUILD_INFO: {(__version__, platform.python_version(), _imaging()): 1},
        HEARTBEAT_AGE: _heartbeat_ages(run / "beats"),
        **guard.ask({}, _storage, storage),
    }


def _storage(storage: Path) -> States:
    status = os.statvfs(storage)
    return {
        UNRECORDED: {(): count_in(storage / "unrecorded")},
        QUARANTINED: {(): count_in(storage / "quarantine")},
        STORAGE_BYTES: {(): status.f_blocks * status.f_frsize},
        FREE_BYTES: {(): status.f_bavail * status.f_frsize},
        STORAGE_INODES: {(): status.f_files},
        FREE_INODES: {(): status.f_favail},
    }


def _heartbeat_ages(beats: Path) -> dict[Labels, float]:
    """Return how long ago each pool, and each kind of a daemon's threads, showed a sign of life."""
    now, ages = time.time(), dict[Labels, float]()
    with os.scandir(beats) as entries:
        for entry in entries:
            program, _, thread = entry.name.partition(".")
            try:
                age_s = now - entry.stat().st_mtime
            except FileNotFoundError:  # it has just ended
                continue
            labels = program.removeprefix("image-cloud-"), _NUMBERS.sub("", thread) or "main"
            ages[labels] = max(0.0, round(age_s, 1), ages.get(labels, 0.0))
    return ages


def _imaging() -> str:
    """Return which distribution of PIL is installed, and its version."""
    for name in IMAGING:
        try:
            return f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    return "none"
