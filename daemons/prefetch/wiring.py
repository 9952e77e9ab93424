"""What each process of the prefetch daemon is made of."""

from __future__ import annotations

import os
import resource
import threading

from daemons.loop import Runner
from daemons.prefetch.claims import Claims
from daemons.prefetch.dispatcher import Dispatcher
from daemons.prefetch.downloads import Downloads, Start
from daemons.prefetch.extra import Extra, First
from daemons.prefetch.giving_up import GivingUp
from daemons.prefetch.grouping import Grouping
from daemons.prefetch.housekeeping import Housekeeping
from daemons.prefetch.job import Job
from daemons.prefetch.leases import Leases
from daemons.prefetch.outcomes import Outcomes
from daemons.prefetch.storage_pause import StoragePause
from daemons.prefetch.thumbnails import Thumbnails
from image_cloud.fetch.purpose import Keep
from image_cloud.node import Node
from image_cloud.origin.post import Poster
from image_cloud.prefetch.callbacks import TIMEOUT_S, Callbacks
from image_cloud.process.cores import cores
from image_cloud.process.locks import Locks
from image_cloud.process.steps import GoOn, Worker

NICENESS = 5
STACK_BYTES = 256 * 1024


def wire(node: Node, start: Start, go_on: GoOn, share: int = 1) -> Dispatcher:
    """Wire one of `share` dispatchers of `node`; `start` runs a worker in a thread of its own."""
    settings, database = node.config.prefetch, node.database
    thumbnails, is_shared = _thumbnails(node, share), node.config.cluster.shared_storage
    # Over a network they are synced one by one: better in many threads.
    keep, sync = (Keep.LASTS, None) if is_shared else (Keep.STORED, node.store.originals.sync_all)
    job = Job(
        node.cache, node.refresher, node.store.tombstones, thumbnails, node.domains, settings, keep
    )
    downloads = Downloads(job.work, -(-settings.threads // share), start)
    grouping = Grouping(database, node.limits, go_on)
    leases = Leases(database, Locks(node.slots_file), settings.lease)
    claims = Claims(database, node.gate.slots, node.domains, grouping, leases, downloads)
    giving_up = GivingUp(database, node.domains, settings.give_up_after, go_on)
    house = Housekeeping(database, node.domains, grouping, leases, giving_up, settings.keep_batches)
    pause = StoragePause(node.store.space)
    return Dispatcher(
        downloads, claims, Outcomes(database, sync), house, leases, pause, idle_s=settings.idle
    )


def _thumbnails(node: Node, share: int) -> Thumbnails:
    at_once = -(-(node.config.prefetch.resizes or cores()) // share)
    return Thumbnails(node.maker, node.config.resize, at_once)


def callbacks(node: Node) -> Callbacks:
    """Wire what tells receivers of batches' ends."""
    post = Poster(node.config.download, TIMEOUT_S).post
    return Callbacks(node.database, post, node.tokens, node.config.prefetch.callback_first_wait)


def create(number: int, count: int, node: Node, runner: Runner) -> Worker:
    """Wire process `number` of `count` of this node's daemon; users come first at the processor, too."""
    if number == 1:  # further processes have it from the first
        os.nice(NICENESS)
    threading.stack_size(STACK_BYTES)
    memory = node.config.prefetch.memory
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    runner.start_last("recorder", node.recorder)
    if number == 1:
        runner.start("callbacks", callbacks(node))
    if number == 1 and node.config.refresh.after:
        runner.start("old_pictures", node.walk)
    dispatcher = wire(node, runner.start, runner.go_on, count)
    if number > 1:
        return Extra(dispatcher, runner.end)
    return First(dispatcher, runner.call_for_help) if count > 1 else dispatcher
