"""gunicorn's settings for the three pools; IMAGE_CLOUD_POOL says which this is."""

from __future__ import annotations

import logging
import os
import resource
from typing import Any

from gunicorn.glogging import Logger

from falcon_app.app import configuration, end, start
from image_cloud.metrics import client
from image_cloud.metrics.events import count_events
from image_cloud.process import memory
from image_cloud.process.cores import cores
from image_cloud.process.heartbeat import Heartbeat, path_of
from image_cloud.process.log_formats import formatter
from image_cloud.process.logs import WithoutQueries, set_up_logging
from image_cloud.process.sockets import socket_path, take_over

_config = configuration()
_pool = os.environ["IMAGE_CLOUD_POOL"]
preload_app = True  # a new worker is there at once, and shares the memory
_pools = _config.pools

_heartbeat = Heartbeat(path_of(_config.node.run, _pool))
_handed_over = take_over()
bind = (
    f"unix:{socket_path(_config.node.run, _pool)}"
    if _handed_over is None
    else f"fd://{_handed_over}"
)
umask = 0o007
proc_name = f"image-cloud-{_pool}"
# nginx alone talks to the sockets; its own limits bound the request line that a client may send.
limit_request_line = 0
graceful_timeout = 25
backlog = 2048
accesslog = None
errorlog = "-"
loglevel = _config.node.log_level
# The heartbeat file is touched all the time: keep it in memory.
worker_tmp_dir = "/dev/shm"  # noqa: S108
KEEPING = "falcon_app.keeping_worker.KeepingWorker"
control_socket_disable = True
NICENESS = 3  # of the fetch pool: stored pictures come first
SPARE_THREADS = 16  # for /health, while all others wait
IDLE_CONNECTIONS = 1024  # that nginx keeps open to a pool: 64 of each of its workers

if _pool == "front":
    worker_class, workers, threads = KEEPING, _pools.front_workers, _pools.front_threads
    keepalive = 75
elif _pool == "fetch":
    # The decoder wants the other half of the cores.
    worker_class, workers = KEEPING, _pools.fetch_workers or max(1, cores() // 2)
    # As many as nginx lets in, whichever worker it is: none of them waits for a thread.
    threads = max(_pools.fetch_threads, _pools.fetch_queue) + SPARE_THREADS
    if _config.cluster.shared_storage:
        threads += _pools.fetch_queue  # for originals that this pool reads in nginx's place
    keepalive = 75
else:
    worker_class, workers = KEEPING, 1
    queues = (
        _pools.batch_queue, _pools.delete_queue, _pools.feed_queue, _pools.stream_queue,
        _pools.status_queue, _pools.pages_queue,
    )  # fmt: skip
    threads = sum(queues) + SPARE_THREADS
    keepalive = 75


worker_connections = threads + IDLE_CONNECTIONS


class logger_class(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's own lines, without queries: it quotes a request that failed outside the application."""

    def setup(self, cfg: Any) -> None:
        """Give the error log the format of all others, and filter what goes to it."""
        super().setup(cfg)
        self.error_log.addFilter(WithoutQueries())
        for handler in self.error_log.handlers:
            handler.setFormatter(formatter(_config.node.log_format))


def on_starting(server: Any) -> None:
    """Leave the socket's file alone at the end: it is supervisord's, and nginx goes on connecting to it."""
    server.systemd = _handed_over is not None


def pre_fork(_server: Any, _worker: Any) -> None:
    """Have the worker share what the master has loaded."""
    memory.share_with_forks()


def post_fork(_server: Any, _worker: Any) -> None:
    """Limit a worker's memory: a body that wants more fails alone."""
    if _pool == "fetch":
        os.nice(NICENESS)
    set_up_logging(_config.node.log_level, _config.node.log_format)
    client.count_below(_config.node.run)
    count_events()
    if _pool == "control":
        limit = _config.prefetch.memory
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def post_worker_init(_worker: Any) -> None:
    """Start what works beside the requests."""
    start()


def post_request(_worker: Any, _req: Any, _environ: Any, _resp: Any) -> None:
    """Tell the watchdog that this pool makes progress."""
    _heartbeat.mark()


def worker_exit(_server: Any, _worker: Any) -> None:
    """Finish what threads have begun, and flush what the logs still hold."""
    end()
    logging.shutdown()
