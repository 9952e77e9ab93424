"""What the pages read of a node's `/node_status`; a node of another version may say more or less."""

from __future__ import annotations

import dataclasses

OK = "ok"


@dataclasses.dataclass(frozen=True)
class Disk:
    """The file system of the storage."""

    bytes: int
    bytes_free: int

    @property
    def share_free(self) -> float:
        """Return the free share, 0 to 1."""
        return self.bytes_free / self.bytes if self.bytes else 0.0


@dataclasses.dataclass(frozen=True)
class Traffic:
    """What nginx answered since the node was made."""

    hit_share: float | None = None
    answers: int = 0


@dataclasses.dataclass(frozen=True)
class Lately:
    """The last ten minutes."""

    requests_per_s: float = 0.0
    errors_5xx_per_s: float = 0.0
    hit_share: float | None = None
    p95_s: float | None = None
    disk_days_left: float | None = None


@dataclasses.dataclass(frozen=True)
class Prefetch:
    """The queue of what is fetched in advance."""

    urls: int
    under_way: int = 0
    later: int = 0
    batches: int = 0


@dataclasses.dataclass(frozen=True)
class Peer:
    """What a node knows of another one."""

    name: str
    alive: bool
    last_seen: float | None = None
    error: str = ""
    is_stopped: bool = False


@dataclasses.dataclass(frozen=True)
class Domain:
    """A domain in trouble, and in which."""

    domain: str
    state: str


@dataclasses.dataclass(frozen=True)
class Held:
    """What a long transaction holds back of the change feed."""

    seconds: float
    changes: int
    holder: str | None = None


@dataclasses.dataclass(frozen=True)
class Status:
    """A node's state; what needs the database is None while it is away."""

    node: str
    version: str
    at: float
    storage: str
    database: str
    disk: Disk
    traffic: Traffic = dataclasses.field(default_factory=Traffic)
    variants: str = OK
    lately: Lately | None = None
    uptime_s: float | None = None
    pools: dict[str, str] = dataclasses.field(default_factory=dict)
    unrecorded: int = 0
    prefetch_paused: bool = False
    limits: str = ""
    domains: list[Domain] = dataclasses.field(default_factory=list)
    peers: list[Peer] = dataclasses.field(default_factory=list)
    pictures_about: int | None = None
    prefetch: Prefetch | None = None
    clone_backlog: int | None = None
    feed_held: Held | None = None
