"""prometheus_client as this process uses it: into files that other processes read.

`PROMETHEUS_MULTIPROC_DIR` names their folder; without it a process counts in its own memory.  The library
reads the variable when it is first imported.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from image_cloud.loading import load

log = logging.getLogger(__name__)

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
GAUGE_MODE: Literal["livemostrecent"] = "livemostrecent"  # the value that a living process set last
FILES = ("counter", "histogram", f"gauge_{GAUGE_MODE}")
RESERVED_BYTES = 1 << 18

_reserved_by = 0
_mutex = threading.Lock()


def folder_of(run: str | Path) -> Path:
    """Return the folder of the processes' files below the run folder."""
    return Path(run) / "metrics"


def count_below(run: str | Path) -> None:
    """Have this process count into files, where the node has a folder for them; before it counts anything."""
    if folder_of(run).is_dir():
        os.environ[FOLDER] = str(folder_of(run))


def package() -> None:
    """Let parts of prometheus_client be imported without the whole.

    Its `__init__` imports web servers, TLS and e-mail: 6 MB in each of a node's processes instead of 0.5 MB.
    Its decorators, which nothing here uses, would be another 1 MB.
    """
    with _mutex:
        if "prometheus_client" not in sys.modules:
            spec = importlib.util.find_spec("prometheus_client")
            assert spec is not None
            sys.modules["prometheus_client"] = importlib.util.module_from_spec(spec)
            decorators = {"prometheus_client.decorator": ("decorate",)}
            load("prometheus_client.context_managers", decorators)


@functools.cache
def make(kind: str, name: str, labels: Sequence[str], buckets: Sequence[float]) -> Any:
    """Return the library's object for a metric of this process.  Raises OSError."""
    package()
    from prometheus_client import metrics  # in processes that count, when they first do

    if kind == "counter":
        return metrics.Counter(name, "", labels, registry=None)
    if kind == "histogram":
        return metrics.Histogram(name, "", labels, registry=None, buckets=buckets)
    return metrics.Gauge(name, "", labels, registry=None, multiprocess_mode=GAUGE_MODE)


def counted(count: Callable[[], None]) -> None:
    """Call `count`; what cannot be counted must not stop the work."""
    try:
        _reserve()
        count()
    except (OSError, RuntimeError) as error:  # a full disk; a broken file
        _tell(str(error))


@functools.cache
def _tell(reason: str) -> None:
    """Log a reason once in each process: it would come with each event."""
    log.warning("event=not_counted reason=%r", reason)


def _reserve() -> None:
    """Have the disk keep room for this process's files, once in each process.

    A full disk could else end the process: it would write into a hole of a file that it has mapped.
    """
    global _reserved_by
    folder, pid = os.environ.get(FOLDER), os.getpid()
    if not folder or pid == _reserved_by:
        return
    with _mutex:
        for name in FILES:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            descriptor = os.open(Path(folder) / f"{name}_{pid}.db", flags, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, RESERVED_BYTES)
            finally:
                os.close(descriptor)
        _reserved_by = pid
