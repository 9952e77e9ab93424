"""The parts that both the web side and the daemons are wired from."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from image_cloud.cluster.absence import Freshness
from image_cloud.cluster.clock import ClusterClock
from image_cloud.cluster.deletes import Deletes
from image_cloud.cluster.epoch import FeedGuard
from image_cloud.cluster.peers import Peers
from image_cloud.config import Config
from image_cloud.db.connect import Database
from image_cloud.fetch.arrival import Arrivals
from image_cloud.fetch.audit import Auditor
from image_cloud.fetch.flights import Flights
from image_cloud.fetch.load import Cache
from image_cloud.origin import Origin
from image_cloud.politeness.breaker import Domains
from image_cloud.politeness.gate import Gate
from image_cloud.politeness.limits import LimitsFile
from image_cloud.politeness.slots import Slots
from image_cloud.process.sockets import socket_path
from image_cloud.resize_pool.client import ResizePool
from image_cloud.resize_pool.marks import Attempts
from image_cloud.resize_pool.no_answer import NoAnswer
from image_cloud.storage.failures import Failures
from image_cloud.storage.incoming import MemoryBudget
from image_cloud.storage.recorder import Recorder
from image_cloud.storage.store import Store

GRACE_S = 5.0
RESIZE_QUEUE_S = 30.0  # that a picture may wait for its turn in the resize pool


def open_storage(config: Config) -> tuple[Store, Failures]:
    """Return the node's pictures and its failure memory."""
    root = Path(config.storage.path)
    return Store.at(root, config.storage.min_free_bytes), Failures(root, config.failures)


def open_clock(config: Config) -> ClusterClock:
    """Return the cluster's time as this node knows it."""
    return ClusterClock(Path(config.storage.path) / "cluster" / f"{config.node.name}.clock.json")


def open_guard(config: Config) -> FeedGuard:
    """Return what notices that the database was replaced."""
    path = Path(config.storage.path) / "cluster" / "feed.json"
    return FeedGuard(path, Database(config.database))


def open_freshness(config: Config) -> Freshness:
    """Return what doubts the pictures of a node that was away for long."""
    return Freshness(Path(config.storage.path), config.cluster.tombstone_days)


def open_peers(config: Config) -> Peers:
    """Return the other nodes; none where all nodes share one storage."""
    shared = config.cluster.shared_storage
    settings = dataclasses.replace(config.cluster, peers=()) if shared else config.cluster
    return Peers(config.node.name, settings)


def open_deletes(config: Config) -> Deletes:
    """Return what deletes pictures on this node."""
    store, failures = open_storage(config)
    return Deletes(store, failures, Database(config.database), open_clock(config))


def open_auditor(config: Config, cache: Cache) -> Auditor:
    """Return what compares pictures with records, and heals."""
    store, _ = open_storage(config)
    return Auditor(store, Database(config.database), open_peers(config), cache)


def open_limits(config: Config) -> LimitsFile:
    """Return the node's limits file."""
    folder = Path(config.storage.path) / "domains"
    return LimitsFile(Path(config.politeness.limits_file), folder / ".last_good_limits")


def open_domains(config: Config) -> Domains:
    """Return the node's troubled domains."""
    root = Path(config.storage.path)
    return Domains(root / "domains", lock_file(root), config.politeness)


def open_gate(config: Config) -> Gate:
    """Return the gate that every request to an origin goes through."""
    slots = Slots(lock_file(Path(config.storage.path)))
    politeness = config.politeness
    return Gate(open_limits(config), slots, open_domains(config), politeness.slot_wait)


def open_resize_pool(config: Config) -> ResizePool:
    """Return what has pictures resized."""
    _, failures = open_storage(config)
    no_answer = NoAnswer(Attempts(Path(config.node.run) / "decoding"), failures)
    timeout_s = config.resize.decode_timeout + RESIZE_QUEUE_S
    return ResizePool(socket_path(config.node.run, "resize"), no_answer, timeout_s)


def lock_file(root: Path) -> Path:
    """Return the file of the slots' and domains' locks."""
    return root / "incoming" / ".slots"


def open_cache(config: Config, gate: Gate | None = None) -> Cache:
    """Return the way of one original; starts the recorder's thread, so call it after forking."""
    store, failures = open_storage(config)
    recorder = Recorder(store, Database(config.database))
    recorder.start()
    peers = open_peers(config)
    patience_s = len(peers.all) * config.cluster.read_timeout
    patience_s += config.politeness.slot_wait + config.download.total_timeout + GRACE_S
    budget = MemoryBudget(config.storage.unstored_max_bytes)
    return Cache(
        store=store,
        failures=failures,
        origin=Origin(config.download),
        gate=gate or open_gate(config),
        flights=Flights(store.root / "incoming" / ".flights", patience_s),
        arrivals=Arrivals(store, config.resize.formats, recorder.add, budget),
        peers=peers,
        clock=open_clock(config),
    )
