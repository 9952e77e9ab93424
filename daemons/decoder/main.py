"""What the decoder is made of, and what it does before it serves."""

from __future__ import annotations

import importlib
import logging
import os
import resource
import socket

from daemons.decoder.crew import Crew, Limits
from daemons.decoder.parent import Parent
from image_cloud.config import Config, config_from_environment
from image_cloud.process import memory
from image_cloud.process.logs import set_up_logging
from image_cloud.process.sockets import socket_path, take_over
from image_cloud.resize.heif import codecs

log = logging.getLogger(__name__)

BACKLOG = 2048
FORMATS = ("Bmp", "Gif", "Ico", "Jpeg", "Jpeg2K", "Mpo", "Png", "Tiff", "WebP")
"""PIL's plugins that workers use; with Image.init it loads 40 more."""
NICENESS = 3  # stored pictures come first


def main() -> None:
    """Serve until SIGTERM; supervisord hands over the listening socket, else the decoder makes it."""
    config = config_from_environment()
    _, most_open = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (most_open, most_open)
    )  # several for each that waits
    set_up_logging(config.node.log_level, config.node.log_format)
    os.nice(NICENESS)
    preload(config)
    parent = create_parent(config, listening_socket(config))
    log.info("event=started daemon=image-cloud-decoder workers=%d", config.pools.resize_workers)
    parent.run()
    log.info("event=stopped daemon=image-cloud-decoder")
    logging.shutdown()


def create_parent(config: Config, listening: socket.socket) -> Parent:
    """Return the daemon's event loop, with its workers started."""
    resize = config.resize
    crew = Crew(resize, Limits(resize.worker_memory), config.pools.resize_workers)
    return Parent(listening, crew, config.pools.resize_queue, resize.decode_timeout)


def listening_socket(config: Config) -> socket.socket:
    """Return the socket that clients connect to."""
    handed_over = take_over()
    if handed_over is not None:
        return socket.socket(fileno=handed_over)
    listening = socket.socket(socket.AF_UNIX)
    path = socket_path(config.node.run, "decoder")
    if os.path.exists(path):
        os.unlink(path)
    listening.bind(path)
    listening.listen(BACKLOG)
    return listening


def preload(config: Config) -> None:
    """Load all that workers need before they are forked, so that they share it."""
    for name in FORMATS:
        importlib.import_module(f"PIL.{name}ImagePlugin")
    if config.resize.worker_memory >= codecs.SHARED_FROM_BYTES:
        codecs.load()
    memory.share_with_forks()
