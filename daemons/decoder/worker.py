"""A worker: one picture at a time, from a descriptor to variants or facts, until the parent lets it go."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
from collections.abc import Iterator, Sequence
from typing import Any

from image_cloud.config.sections import Resize
from image_cloud.decoding import frames
from image_cloud.decoding.plan import HEAD, MOST_BYTES, MOST_DESCRIPTORS, Plan
from image_cloud.errors import DecodeTimeout, ImageCloudError
from image_cloud.process import memory
from image_cloud.process.log_formats import current_id
from image_cloud.resize import Steps, facts, variants, variants_from_ladder

log = logging.getLogger(__name__)

IDLE_S = 0.5
"""Freed memory is kept that long: to get it again for the next picture costs a fourth of decoding it."""
DONE, LAST = b".", b"!"
"""What the parent hears when an answer is written: the worker takes the next picture, or it ends."""


def work(channel: socket.socket, settings: Resize, most_pictures: int) -> None:
    """Make what comes through `channel`, `most_pictures` times, or until its other end is closed."""
    for left in reversed(range(most_pictures)):
        message, descriptors = _next(channel)
        if not message:
            return
        try:
            _answer(message, descriptors, settings)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        channel.send(DONE if left else LAST)


def _next(channel: socket.socket) -> tuple[bytes, list[int]]:
    """Return the next message and its descriptors; while none comes, freed memory goes back to the kernel."""
    if not select.select([channel], [], [], IDLE_S)[0]:
        memory.give_back()
    message, descriptors, _, _ = socket.recv_fds(channel, HEAD.size + MOST_BYTES, MOST_DESCRIPTORS)
    return message, descriptors


def _answer(message: bytes, descriptors: Sequence[int], settings: Resize) -> None:
    """Make what a plan asks for; whoever asked may be gone by now."""
    target, *files = descriptors
    with contextlib.suppress(BrokenPipeError):
        try:
            with _deadline(settings.decode_timeout):
                plan = Plan.read(message[HEAD.size :])
                current_id.set(plan.request_id)
                _make(plan, target, files, settings)
            frames.write(target, frames.END)
        except ImageCloudError as error:
            frames.write_error(target, error)


def _make(plan: Plan, target: int, files: Sequence[int], settings: Resize) -> None:
    """Send each variant as soon as it is made: the first is waited for."""
    if not plan.recipes:
        with open(files[0], "rb", closefd=False) as file:
            frames.write(target, frames.FACTS, facts(file, settings).written())
        return
    kinds = iter([frames.VARIANT] * len(plan.recipes) + [frames.LADDER])
    for content in _contents(plan, files, settings):
        frames.write(target, next(kinds), content)


def _contents(plan: Plan, files: Sequence[int], settings: Resize) -> Iterator[bytes]:
    """Yield what a plan asks for, from the ladder where it has enough."""
    for ladder in files[1:]:
        with open(ladder, "rb", closefd=False) as file:
            if made := variants_from_ladder(file, plan.recipes, settings):
                yield from made
                return
    with open(files[0], "rb", closefd=False) as file:
        yield from variants(file, plan.recipes, settings, Steps(plan.ladder))


@contextlib.contextmanager
def _deadline(timeout_s: float) -> Iterator[None]:
    """Raise DecodeTimeout in the block after `timeout_s`.

    It comes when the decoder next returns to Python; the parent ends a worker that never does.
    """

    def expire(_signum: int, _frame: Any) -> None:
        raise DecodeTimeout(f"stopped after {timeout_s:g} s")

    signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
