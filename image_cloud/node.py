"""The parts of one node, wired from its configuration: pools, daemons and commands take theirs from here."""

from __future__ import annotations

import dataclasses
import functools
import resource
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from image_cloud.config import Config

if TYPE_CHECKING:
    from image_cloud.cluster.absence import Freshness
    from image_cloud.cluster.brake import Brake
    from image_cloud.cluster.clock import ClusterClock
    from image_cloud.cluster.deletes import Deletes
    from image_cloud.cluster.epoch import FeedGuard
    from image_cloud.cluster.feed_page import FeedPages
    from image_cloud.cluster.peer_states import PeerStates
    from image_cloud.cluster.peers import Peers
    from image_cloud.db.connect import Database
    from image_cloud.db.history import HistoryReader
    from image_cloud.db.listen import Listener
    from image_cloud.decoding.asking import Made
    from image_cloud.decoding.client import Decoder
    from image_cloud.decoding.facts import FactsMaker
    from image_cloud.decoding.maker import Maker
    from image_cloud.explain.everywhere import Everywhere
    from image_cloud.fetch.arrival import Arrivals
    from image_cloud.fetch.audit import Auditor
    from image_cloud.fetch.audit_state import AuditState
    from image_cloud.fetch.flights import Flights
    from image_cloud.fetch.load import Cache
    from image_cloud.fetch.placeholder import Placeholder
    from image_cloud.fetch.unstored import Unstored
    from image_cloud.history.visits import Visits
    from image_cloud.origin import Origin
    from image_cloud.picture.facts import Facts
    from image_cloud.politeness.breaker import Domains
    from image_cloud.politeness.gate import Gate
    from image_cloud.politeness.limits import LimitsFile
    from image_cloud.prefetch.batches import Batches
    from image_cloud.process.locks import LockFile
    from image_cloud.refresh.old_pictures import OldPictures, Walk
    from image_cloud.refresh.refresher import Refresher
    from image_cloud.request.tokens import TokenStore
    from image_cloud.similar.search import Similar
    from image_cloud.storage.failures import Failures
    from image_cloud.storage.guard.guarded import Guard
    from image_cloud.storage.local.arriving import OnTheWay
    from image_cloud.storage.local.lease import Lease
    from image_cloud.storage.recorder import Recorder
    from image_cloud.storage.store import Store


GRACE_S = 5.0
TELL_EVERY_S = 60.0
FILES_EACH = 8  # of one download: sockets of both sides, locks, the file itself
DECODER_QUEUE_S = 30.0  # that a picture may wait for its turn (daemons/decoder/parent.py)


class Node:
    """Makes each part when it is first asked for, and once.

    Parts open connections when they are first used; `recorder` and `listener` work in a thread that whoever
    wires a process starts.  So a process may make parts before it forks, and share their memory.  The code of
    a part is imported where it is made: whoever makes few of them is a megabyte or two smaller.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.storage = Path(config.storage.path)
        self.local = Path(config.storage.local)
        self.run = Path(config.node.run)

    # --- this node's pictures ----------------------------------------------------------------

    @cached_property
    def store(self) -> Store:
        """The node's pictures."""
        from image_cloud.storage.space import Room
        from image_cloud.storage.store import Store

        s = self.config.storage
        room = Room(s.min_free_bytes, s.min_free_inodes)
        return Store.at(
            self.storage, room, local=self.local, lease=self.lease, guard=self.storage_guard
        )

    @cached_property
    def storage_guard(self) -> Guard:
        """What knows whether the storage works; one that several nodes share may not even answer."""
        from image_cloud.storage.guard.guarded import Guard
        from image_cloud.storage.guard.pulse import Pulse

        is_far = self.config.cluster.shared_storage
        return Guard(Pulse(self.storage) if is_far else None)

    @cached_property
    def lease(self) -> Lease | None:
        """Whether the variants may be believed; None where no other node changes their originals."""
        from image_cloud.storage.local.lease import Lease

        return Lease(self.local) if self._is_far else None

    @property
    def _is_far(self) -> bool:
        """Whether originals are elsewhere, and variants on a disk of the node's own."""
        return self.config.cluster.shared_storage and self.local != self.storage

    @property
    def variants_check(self) -> Callable[[], None] | None:
        """What raises Unavailable where variants on a disk of their own are in trouble."""
        from image_cloud.storage.store import require_good_variants

        check = functools.partial(require_good_variants, self.store)
        return check if self.local != self.storage else None

    @cached_property
    def failures(self) -> Failures:
        """What failed, and until when that stands."""
        from image_cloud.storage.failures import Failures

        wait_s = self.config.politeness.longest_retry_after_interactive
        return Failures(self.local, self.config.failures, longest_wait_s=wait_s)

    @cached_property
    def database(self) -> Database:
        """The node's database."""
        from image_cloud.db.connect import Database

        return Database(self.config.database)

    @cached_property
    def recorder(self) -> Recorder:
        """The thread that tells the database what was stored."""
        from image_cloud.storage.recorder import Recorder

        return Recorder(self.store, self.database, self._tell_every_s())

    def _tell_every_s(self) -> float:
        """Return how often peers hear of a picture's checks at most: so often that they need not ask."""
        after_s = self.config.refresh.after
        return min(TELL_EVERY_S, after_s / 4) if after_s else TELL_EVERY_S

    @cached_property
    def deletes(self) -> Deletes:
        """What deletes pictures."""
        from image_cloud.cluster.deletes import Deletes

        return Deletes(self.store, self.failures, self.database, self.clock)

    # --- origins -----------------------------------------------------------------------------

    @cached_property
    def origin(self) -> Origin:
        """The client that downloads."""
        from image_cloud.origin import Origin
        from image_cloud.origin.origins_file import OriginsFile

        download = self.config.download
        last_good = self.local / "domains" / ".last_good_origins"
        headers = OriginsFile(Path(download.origins_file), last_good)
        return Origin(download, self.config.resize.formats, headers)

    @cached_property
    def limits(self) -> LimitsFile:
        """How many downloads each domain may have at once."""
        from image_cloud.politeness.limits import LimitsFile

        file = Path(self.config.politeness.limits_file)
        return LimitsFile(file, self.local / "domains" / ".last_good_limits")

    @property
    def slots_file(self) -> LockFile:
        """The file of the locks that stand for slots, half-open domains and living daemons."""
        return self._lock_file("slots")

    @cached_property
    def domains(self) -> Domains:
        """The domains in trouble."""
        from image_cloud.politeness.breaker import Domains

        return Domains(self.local / "domains", self.slots_file, self.config.politeness)

    @cached_property
    def gate(self) -> Gate:
        """What every request to an origin goes through."""
        from image_cloud.politeness.crowd import Crowd
        from image_cloud.politeness.gate import Gate
        from image_cloud.politeness.slots import Slots

        pools, politeness = self.config.pools, self.config.politeness
        crowd = Crowd(min(pools.fetch_threads, _most_downloads()), politeness.waiting)
        slots, count = Slots(self.slots_file), self.visits.count
        return Gate(self.limits, slots, self.domains, crowd, politeness.slot_wait, count)

    @cached_property
    def visits(self) -> Visits:
        """How long downloads took, by domain."""
        from image_cloud.history.visits import Visits

        return Visits(self.run / "pools" / "visits")

    @cached_property
    def cache(self) -> Cache:
        """The way of one original; what it stores is recorded by `recorder`."""
        from image_cloud.fetch.flights import Flights
        from image_cloud.fetch.load import Cache
        from image_cloud.storage.guard.outage import Outage

        return Cache(
            store=self.store,
            failures=self.failures,
            origin=self.origin,
            gate=self.gate,
            flights=Flights(self._lock_file("flights"), self._patience_s()),
            arrivals=self._arrivals(),
            peers=self.peers,
            clock=self.clock,
            unstored=self.unstored,
            outage=Outage(self.database),
        )

    @cached_property
    def on_the_way(self) -> OnTheWay | None:
        """The pictures that are answered before they are stored; None where storing them is quick."""
        from image_cloud.storage.local.arriving import OnTheWay

        return OnTheWay(self.local, self.store.variants) if self._is_far else None

    @cached_property
    def unstored(self) -> Unstored:
        """The pictures that a full storage left in memory."""
        from image_cloud.fetch.unstored import Unstored, folder_of

        s = self.config.storage
        return Unstored(folder_of(self.config.node.run), s.unstored_kept_bytes, s.unstored_keep)

    def _lock_file(self, name: str, root: Path | None = None) -> LockFile:
        return self._lock_at((root or self.storage) / "incoming" / f".{name}")

    def _lock_at(self, path: Path) -> LockFile:
        from image_cloud.process.locks import LockFile

        stand_in = self.run / "pools" / f"{path.name[1:]}.lock"
        return LockFile(path, stand_in, self.storage_guard.run, self.storage_guard.start)

    def _arrivals(self) -> Arrivals:
        from image_cloud.fetch.arrival import Arrivals
        from image_cloud.storage.incoming import MemoryBudget

        budget = MemoryBudget(self.config.storage.unstored_max_bytes)
        formats = self.config.resize.formats
        return Arrivals(self.store, formats, self.recorder.add, budget, self.on_the_way)

    def _patience_s(self) -> float:
        """Return how long one download may keep those waiting who want the same picture."""
        config = self.config
        asking_s = len(self.peers.all) * config.cluster.read_timeout + config.politeness.slot_wait
        return asking_s + config.download.total_timeout + GRACE_S

    @cached_property
    def refresher(self) -> Refresher:
        """What asks origins again."""
        from image_cloud.cluster.brake import Brake
        from image_cloud.fetch.flights import Flights
        from image_cloud.refresh.gone import GonePictures
        from image_cloud.refresh.refresher import Refresher

        settings, name = self.config.refresh, self.config.node.name
        checks = self.store.checks
        counts, permits = self._own_file("gone.json"), self._own_file("permits.json")
        brake = Brake(counts, permits, self.config.cluster.most_deletes_per_hour)
        gone = GonePictures(checks, self.failures, self.deletes, brake, name, settings)
        return Refresher(
            store=self.store,
            failures=self.failures,
            cache=self.cache,
            flights=Flights(self._lock_file("flights"), self._patience_s()),
            gate=self.gate,
            gone=gone,
            clock=self.clock,
            tell=self.recorder.add,
            settings=settings,
        )

    @cached_property
    def old_pictures(self) -> OldPictures:
        """What queues old pictures to be asked for."""
        from image_cloud.refresh.old_pictures import OldPictures

        return OldPictures(
            self.store, self.failures, self.database, self.origin, self.limits, self.config.refresh
        )

    @cached_property
    def walk(self) -> Walk:
        """What goes over the catalogue for them."""
        from image_cloud.refresh.old_pictures import Walk

        placement, after_s = self.peers.placement, self.config.refresh.after
        return Walk(
            self.old_pictures, self.store, self.database, placement, self.peer_states, after_s
        )

    @cached_property
    def auditor(self) -> Auditor:
        """What compares pictures with records, and heals."""
        from image_cloud.fetch.audit import Auditor

        return Auditor(self.store, self.database, self.peers, self.cache)

    # --- the decoder and clients -------------------------------------------------------------

    @cached_property
    def decoder(self) -> Decoder:
        """The client of the decoder daemon."""
        from image_cloud.decoding.client import Decoder
        from image_cloud.process.sockets import socket_path

        return Decoder(socket_path(self.config.node.run, "decoder"), self._decoding_s())

    @cached_property
    def maker(self) -> Maker:
        """What has variants made, and keeps them."""
        from image_cloud.decoding.maker import Maker
        from image_cloud.fetch.flights import Flights

        lock_file = self._lock_file("decoding", self.local)
        turns: Flights[Made] = Flights(lock_file, 2 * self._decoding_s())
        return Maker(self.store, self.failures, self.decoder, turns, self.config.resize)

    @cached_property
    def placeholder(self) -> Placeholder:
        """The picture that is sent in place of one that cannot be had."""
        from image_cloud.fetch.fallback_files import FallbackFiles
        from image_cloud.fetch.placeholder import Placeholder

        return Placeholder.of(self.config.http, self.maker.resize, FallbackFiles(self.local))

    @cached_property
    def facts(self) -> FactsMaker:
        """What has facts of pictures made, and keeps them."""
        from image_cloud.decoding.facts import FactsMaker
        from image_cloud.fetch.flights import Flights

        turns: Flights[Facts] = Flights(self._lock_file("decoding"), 2 * self._decoding_s())
        return FactsMaker(self.store, self.failures, self.decoder, turns, self.config.resize)

    def _decoding_s(self) -> float:
        """Return how long one picture may take, its wait for a turn included."""
        return self.config.resize.decode_timeout + DECODER_QUEUE_S + GRACE_S

    @cached_property
    def tokens(self) -> TokenStore:
        """Who may ask for what."""
        from image_cloud.request.tokens import TokenStore

        return TokenStore(Path(self.config.tokens.file))

    # --- the cluster -------------------------------------------------------------------------

    @cached_property
    def clock(self) -> ClusterClock:
        """The cluster's time as this node knows it."""
        from image_cloud.cluster.clock import ClusterClock

        return ClusterClock(self._own_file("clock.json"))

    @cached_property
    def peers(self) -> Peers:
        """The other nodes; none where all nodes share one storage."""
        from image_cloud.cluster.peers import Peers

        cluster = self.config.cluster
        settings = dataclasses.replace(cluster, peers=()) if cluster.shared_storage else cluster
        return Peers(self.config.node.name, settings)

    @cached_property
    def brake(self) -> Brake:
        """What stops a peer that deletes too much."""
        from image_cloud.cluster.brake import Brake

        counts, permits = self._own_file("deletes.json"), self._own_file("permits.json")
        return Brake(counts, permits, self.config.cluster.most_deletes_per_hour)

    @cached_property
    def peer_states(self) -> PeerStates:
        """What the cloning daemon knows of each peer."""
        from image_cloud.cluster.peer_states import PeerStates

        return PeerStates(self._own_file("peers.json"))

    @cached_property
    def freshness(self) -> Freshness:
        """What doubts the pictures of a node that was away for long."""
        from image_cloud.cluster.absence import Freshness

        return Freshness(self.storage, self.config.cluster.tombstone_days)

    @cached_property
    def feed_guard(self) -> FeedGuard:
        """What notices that the database was replaced."""
        from image_cloud.cluster.epoch import FeedGuard

        return FeedGuard(self.storage / "cluster" / "feed.json", self.database)

    @cached_property
    def listener(self) -> Listener:
        """The thread that hears when the feed has moved."""
        from image_cloud.db.listen import Listener

        return Listener(self.config.database)

    @cached_property
    def feed_pages(self) -> FeedPages:
        """The change feed, page by page."""
        from image_cloud.cluster.feed_page import FeedPages, Self

        own = Self(self.config.node.name, self.config.cluster.accept_deletes)
        return FeedPages(
            self.database, self.listener, self.feed_guard, self.clock, self.freshness, own
        )

    @cached_property
    def everywhere(self) -> Everywhere:
        """What explains why a picture is here or not."""
        from image_cloud.explain.everywhere import Everywhere
        from image_cloud.explain.here import Here
        from image_cloud.politeness.overview import Overview

        logs = Path(self.config.node.access_log).parents[1]
        here = Here(
            self.config.node.name,
            self.store,
            self.failures,
            self.database,
            Overview(self.gate),
            logs,
        )
        return Everywhere(here, self.peers)

    @cached_property
    def similar(self) -> Similar:
        """What searches for near-duplicates."""
        from image_cloud.similar.search import Similar

        return Similar(self.database)

    @cached_property
    def history(self) -> HistoryReader:
        """What daemons/sampler has written of the last days."""
        from image_cloud.db.history import HistoryReader

        return HistoryReader(Path(self.config.node.history))

    @cached_property
    def batches(self) -> Batches:
        """The prefetch batches, as their clients see them."""
        from image_cloud.prefetch.batches import Batches

        return Batches(self.database, self.clock, self.limits, self.failures)

    @property
    def audit_state(self) -> AuditState:
        """What the audit remembers, on the storage."""
        from image_cloud.fetch.audit_state import AuditState
        from image_cloud.storage.guard.guarded import guarded

        return guarded(AuditState(self.storage / "cluster"), self.storage_guard)

    @property
    def audit_lock(self) -> LockFile:
        """What the janitor holds that audits: one for all nodes with the same storage."""
        return self._lock_at(self.storage / "cluster" / ".audit")

    @property
    def variants_note(self) -> Path:
        """Where the cloning daemon keeps up to where it knows what other nodes changed."""
        return self.local / "cluster" / "variants.json"

    def _own_file(self, name: str) -> Path:
        """Return a file of this node alone: nodes that share a storage have one each."""
        return self.local / "cluster" / f"{self.config.node.name}.{name}"


def _most_downloads() -> int:
    """Return for how many downloads the files suffice that this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 10**6 if soft == resource.RLIM_INFINITY else max(1, soft // FILES_EACH)
