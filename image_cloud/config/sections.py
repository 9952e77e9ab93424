"""Every section of `image_cloud.ini`, every option, every default."""

from __future__ import annotations

import dataclasses
import ipaddress

from image_cloud.config import fields as f

KB, MB, GB, MIB, GIB = 10**3, 10**6, 10**9, 2**20, 2**30
DAY = 86400.0

DECODABLE = ("jpeg", "png", "webp", "gif", "bmp", "tiff", "avif", "jpeg2000", "ico")
ENCODABLE = ("jpeg", "png", "webp", "gif", "bmp", "tiff", "avif")
# Ports of other protocols, which a URL could make this node talk to.
OTHER_PROTOCOLS_PORTS = (
    20, 21, 22, 23, 25, 53, 69, 110, 111, 119, 123, 135, 137, 139, 143, 161, 179, 389, 445, 465,
    514, 587, 636, 993, 995, 1433, 1521, 2049, 2379, 3306, 5432, 5436, 6000, 6379, 9092, 11211, 27017,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Node:
    """This node: its name and where it answers."""

    name: str = f.text(
        "ic00", "This node's name.", pattern=r"[a-z0-9][a-z0-9-]{0,62}", form="a host name"
    )
    listen: str = f.text(
        "127.0.0.1:5000",
        "Where nginx listens.",
        pattern=r"(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]|\*):\d{1,5}",
        form="ADDRESS:PORT",
    )
    run: str = f.path("{home}/run", "Folder of sockets and of what a restart may forget.")
    access_log: str = f.path(
        "{home}/log/nginx/access.log", "nginx's access log, counted for /metrics."
    )
    log_level: str = f.choice(
        "info", ("debug", "info", "warning", "error"), "Least level that is logged."
    )


@dataclasses.dataclass(frozen=True)
class Storage:
    """Where pictures are kept."""

    path: str = f.path("{home}/storage", "Folder of originals, variants and remembered failures.")
    unstored_max_bytes: int = f.size(
        256 * MB,
        0,
        1000 * GB,
        "Memory of each fetch process for pictures that pass through while the storage is full.",
    )
    variants_max_bytes: int = f.size(
        100 * GB, 0, 10**15, "Variants are evicted, least recently used first, past this."
    )
    min_free_bytes: int = f.size(
        16 * MB,
        0,
        10**13,
        "Reserve: with less free space than this nothing more is stored, so that deletes, the\n"
        "database and logs still have room.",
    )


@dataclasses.dataclass(frozen=True)
class Http:
    """How pictures are sent."""

    cache_control: str = f.text(
        "public, max-age=86400",
        "Cache-Control of every picture.",
        pattern=r"[A-Za-z0-9=, _-]+",
        form="a Cache-Control value",
    )


@dataclasses.dataclass(frozen=True)
class Resize:
    """How pictures are resized, and what is too much."""

    formats: tuple[str, ...] = f.listing(
        ("jpeg", "png", "webp", "gif", "bmp", "tiff"),
        "Formats that are taken from origins and decoded; anything else is refused.",
        item=f.choice_item(*DECODABLE),
        form="a list out of " + ", ".join(DECODABLE),
        at_least=1,
    )
    max_side: int = f.whole(
        5000, 1, 65535, "Largest width or height that may be asked for, pixels."
    )
    format_when_resize: str = f.choice("jpeg", ENCODABLE, "Format of resized pictures.")
    quality: int = f.whole(85, 1, 100, "Quality of resized pictures, in formats that have one.")
    thumbnail_sizes: tuple[int, ...] = f.listing(
        (100, 200, 250, 400, 800),
        "Sizes that /get_thumbnail makes, pixels.",
        item=f.whole_item(1, 65535),
        form="a list of whole numbers, 1 to 65535",
        at_least=1,
    )
    thumbnail_size: int = f.whole(200, 1, 65535, "Size of /get_thumbnail where none is asked for.")
    thumbnail_quality: int = f.whole(85, 1, 100, "JPEG quality of /get_thumbnail.")
    thumbnails_together: tuple[int, ...] = f.listing(
        (200, 250),
        "Thumbnail sizes that are usually asked for together: one decode makes all of them. Those\n"
        "that are not in thumbnail_sizes do not count.",
        item=f.whole_item(1, 65535),
        form="a list of whole numbers, 1 to 65535, or nothing",
    )
    ladder_side: int = f.whole(
        768,
        0,
        4096,
        "Longest side of the small copy that further sizes of a JPEG are made from, pixels; 0: none.",
    )
    max_pixels: int = f.whole(50_000_000, 1, 2**31 - 1, "Largest picture that is decoded, pixels.")
    max_frames: int = f.whole(1000, 1, 10**6, "Most frames of an animated picture.")
    max_scans: int = f.whole(100, 1, 10**4, "Most scans of a progressive JPEG.")
    decode_timeout: float = f.duration(20.0, 0.1, 600.0, "Longest that one resize may take.")
    worker_memory: int = f.size(1 * GIB, 128 * MIB, 64 * GIB, "Memory limit of one resize worker.")
    reducing_gap: float = f.number(
        1.0, 1.0, 4.0, "A JPEG is decoded at no less than this many times the wanted size."
    )


@dataclasses.dataclass(frozen=True)
class Download:
    """How pictures are fetched from origins, and from which."""

    allow_networks: tuple[f.Network, ...] = f.listing(
        (),
        "Networks that may be fetched from although they are private, local or reserved.",
        item=f.network_item,
        form="a list of networks like 10.0.0.0/8, or nothing",
    )
    allow_domains: tuple[str, ...] = f.listing(
        (), "Only these domains (and their sub-domains) may be fetched from; nothing: all.",
        item=f.domain_item, form="a list of domain names, or nothing",
    )  # fmt: skip
    deny_domains: tuple[str, ...] = f.listing(
        (), "These domains (and their sub-domains) may not be fetched from.",
        item=f.domain_item, form="a list of domain names, or nothing",
    )  # fmt: skip
    allow_ports: tuple[int, ...] = f.listing(
        (), "Only these ports may be fetched from; nothing: all but deny_ports.",
        item=f.whole_item(1, 65535), form="a list of ports, 1 to 65535, or nothing",
    )  # fmt: skip
    deny_ports: tuple[int, ...] = f.listing(
        OTHER_PROTOCOLS_PORTS, "These ports may not be fetched from.",
        item=f.whole_item(1, 65535), form="a list of ports, 1 to 65535, or nothing",
    )  # fmt: skip
    max_bytes: int = f.size(50 * MB, 1 * KB, 2 * GB, "Largest file that is taken from an origin.")
    max_redirects: int = f.whole(5, 0, 20, "Most redirects that are followed.")
    connect_timeout: float = f.duration(5.0, 0.1, 120.0, "Longest wait for a connection.")
    read_timeout: float = f.duration(10.0, 0.1, 600.0, "Longest silence of an origin.")
    total_timeout: float = f.duration(30.0, 0.1, 3600.0, "Longest that a whole download may take.")
    user_agent: str = f.text(
        "ImageCloud/0.1 (+mailto:postmaster@localhost)",
        "User-Agent sent to origins: name the operator in it.",
        pattern=r"[\x20-\x7e]{1,200}",
        form="1 to 200 printable ASCII characters",
    )
    ca_file: str = f.text(
        "",
        "File of certificates that origins are checked against; nothing: the well-known ones.",
        pattern=r"(/[^\0]*)?",
        form="an absolute path, or nothing",
    )
    sample_origin: str = f.text(
        "",
        "The sample origin of a local stack, allowed beside allow_networks. Set by `make run`.",
        pattern=r"(\d{1,3}(\.\d{1,3}){3}:\d{1,5})?",
        form="ADDRESS:PORT, or nothing",
    )


@dataclasses.dataclass(frozen=True)
class Politeness:
    """How many downloads run at once from each domain, and when a domain is left alone."""

    limits_file: str = f.path(
        "{home}/max_downloads.json",
        'Parallel downloads of each domain: {"default": 8, "shop.example": 2}; an entry covers its\n'
        "sub-domains. Read again when it changes.",
    )
    slot_wait: float = f.duration(
        10.0,
        0.0,
        600.0,
        "Longest that a request waits for its turn at a domain before it gets a 503.",
    )
    failures: int = f.whole(
        20, 1, 10**6, "After so many failures in a row a whole domain is left alone."
    )
    first_pause: float = f.duration(30.0, 0.1, DAY, "For how long, the first time.")
    longest_pause: float = f.duration(600.0, 0.1, 30 * DAY, "Doubling each time up to this.")
    jitter: float = f.number(0.2, 0.0, 0.9, "Share by which each time is shortened or lengthened.")


@dataclasses.dataclass(frozen=True)
class Prefetch:
    """POST /fire_and_forget, and the daemon that works it off."""

    threads: int = f.whole(64, 1, 1000, "Downloads at once of the daemon, all domains together.")
    resizes: int = f.whole(1, 1, 256, "Thumbnails at once that it asks the resize pool for.")
    tries: int = f.whole(4, 1, 100, "A URL that failed so often stands in its batch's failures.")
    first_wait: float = f.duration(30.0, 0.05, DAY, "Wait before the second try.")
    longest_wait: float = f.duration(3600.0, 0.05, 30 * DAY, "Doubling with each try up to this.")
    jitter: float = f.number(0.2, 0.0, 0.9, "Share by which each wait is shortened or lengthened.")
    lease: float = f.duration(
        120.0,
        5.0,
        DAY,
        "A URL whose daemon does not say within this time that it still works on it is given to\n"
        "another; one whose process has died is given away at once.",
    )
    idle: float = f.duration(0.25, 0.01, 60.0, "Pause between two looks for new work.")
    keep_batches: float = f.duration(
        30 * DAY, 60.0, 3650 * DAY, "Finished batches are forgotten then."
    )
    max_bodies: int = f.whole(
        2, 1, 64, "POST /fire_and_forget: bodies that are read at once; more wait."
    )
    body_wait: float = f.duration(30.0, 0.0, 600.0, "Longest such wait before the call gets a 503.")
    memory: int = f.size(
        1 * GIB,
        128 * MIB,
        64 * GIB,
        "Memory limit of the daemon, and of the pool that takes the calls.",
    )


@dataclasses.dataclass(frozen=True)
class Failures:
    """How long failed URLs are remembered, so that a storm of requests costs the origin one."""

    not_found_keep: float = f.duration(3600.0, 1.0, 30 * DAY, "After a 404 or 410 of the origin.")
    first_keep: float = f.duration(30.0, 0.1, DAY, "After any other failure, the first time.")
    longest_keep: float = f.duration(600.0, 0.1, 30 * DAY, "Doubling with each failure up to this.")
    jitter: float = f.number(0.2, 0.0, 0.9, "Share by which each time is shortened or lengthened.")


@dataclasses.dataclass(frozen=True)
class Database:
    """PostgreSQL."""

    dsn: str = f.text(
        "host={home}/run/postgres port=5436 user=image_cloud dbname=image_cloud",
        "Connection string (libpq); {home} stands for the home folder.",
        pattern=r".+",
        form="a libpq connection string",
    )
    connect_timeout: float = f.duration(3.0, 1.0, 60.0, "Longest wait for a connection.")
    statement_timeout: float = f.duration(30.0, 0.1, 3600.0, "Longest that one statement may take.")


@dataclasses.dataclass(frozen=True)
class Tokens:
    """Who may do what."""

    file: str = f.path("{home}/tokens.json", "Clients, scopes and hashed tokens; mode 0600.")
    verdict_keep: float = f.duration(
        20.0,
        0.0,
        28.0,
        "How long nginx believes that a token may read; a revoked one works no longer than this.",
    )


LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@dataclasses.dataclass(frozen=True)
class Clients:
    """How much one client may ask, how slow it may be, and TLS (docs/operations.md)."""

    rate: int = f.whole(
        0,
        0,
        10**6,
        "Requests a second of one token that may read, past which it gets a 429; 0: any number.",
    )
    burst: int = f.whole(1000, 0, 10**6, "So many more are let through at once.")
    rate_without_token: int = f.whole(
        0,
        0,
        10**6,
        "The same for one address that sends no token, an unknown one, or signed URLs; 0: any number.",
    )
    burst_without_token: int = f.whole(1000, 0, 10**6, "So many more are let through at once.")
    connections: int = f.whole(
        0,
        0,
        10**6,
        "Requests at the same time of one address, past which it gets a 429; 0: any number.",
    )
    unlimited: tuple[f.Network, ...] = f.listing(
        LOOPBACK,
        "Networks that none of these limits hold for: the peers, what asks for health.",
        item=f.network_item,
        form="a list of networks like 10.0.0.0/8, or nothing",
    )
    trusted_proxies: tuple[f.Network, ...] = f.listing(
        (),
        "Networks of load balancers, whose X-Forwarded-For tells the client's address.",
        item=f.network_item,
        form="a list of networks like 10.0.0.0/8, or nothing",
    )
    header_timeout: float = f.duration(
        10.0, 1.0, 600.0, "Longest that a request's head may take; also a TLS handshake."
    )
    body_timeout: float = f.duration(15.0, 1.0, 600.0, "Longest silence within a request's body.")
    send_timeout: float = f.duration(
        30.0, 1.0, 600.0, "Longest that a client may take nothing of an answer."
    )
    keepalive: float = f.duration(75.0, 0.0, 3600.0, "How long an idle connection is kept.")
    tls_listen: str = f.text(
        "",
        "Where nginx also listens, for TLS alone.",
        pattern=r"((\d{1,3}(\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]|\*):\d{1,5})?",
        form="ADDRESS:PORT, or nothing",
    )
    tls_certificate: str = f.optional_path(
        "PEM file with the certificate and its chain; read anew when nginx reloads."
    )
    tls_key: str = f.optional_path(
        "PEM file with its key; the user that nginx runs as must be able to read it."
    )


@dataclasses.dataclass(frozen=True)
class Pools:
    """How many processes and threads serve, and how many requests may wait."""

    front_workers: int = f.whole(2, 1, 64, "Processes that check tokens and look at the disk.")
    front_threads: int = f.whole(4, 1, 64, "Threads of each.")
    fetch_workers: int = f.whole(2, 1, 64, "Processes that download.")
    fetch_threads: int = f.whole(64, 4, 1024, "Threads, and so downloads at once, of each.")
    fetch_queue: int = f.whole(
        256, 1, 100_000, "Requests in the fetch pool, waiting ones included."
    )
    intake_threads: int = f.whole(8, 2, 64, "Threads that take POST /fire_and_forget.")
    intake_queue: int = f.whole(64, 1, 100_000, "Such requests, waiting ones included.")
    resize_workers: int = f.whole(2, 1, 256, "Processes that resize, one picture at a time each.")
    resize_queue: int = f.whole(
        128, 1, 100_000, "Requests in the resize pool, waiting ones included."
    )


@dataclasses.dataclass(frozen=True)
class Watchdog:
    """What counts as a program that runs but cannot serve; such a one is killed and started again."""

    unanswered: float = f.duration(
        20.0,
        1.0,
        3600.0,
        "A pool that neither answered nor finished a request for so long, and for longer than its\n"
        "longest request may take, is hung.",
    )
    longest_step: float = f.duration(
        3600.0, 60.0, 30 * DAY, "A daemon whose one step takes longer is hung."
    )


@dataclasses.dataclass(frozen=True)
class Janitor:
    """The clean-up daemon."""

    interval: float = f.duration(10.0, 0.1, 3600.0, "Pause between two rounds.")
    audit_bytes_per_second: int = f.size(
        5 * MB, 0, 10 * GB, "How fast originals are read again to find damaged ones; 0 B: never."
    )
    audit_pause: float = f.duration(
        86400.0, 0.0, 365 * DAY, "Pause between two audits of the whole storage."
    )


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The other nodes: cloning, deletes, who has what."""

    peers: tuple[f.Peer, ...] = f.listing(
        (),
        "All nodes that clone from each other; this node's own name among them is passed over, so\n"
        "that the same line serves everywhere.",
        item=f.peer_item,
        form="a list of NAME=URL like ic01=http://ic01:5000, or nothing",
    )
    token_file: str = f.path(
        "{home}/peer_token",
        "File (mode 0600) with the token, of the scopes peer and read, that peers are asked with.",
    )
    accept_deletes: bool = f.flag(
        True, "This node takes /delete_image. True on one node (ic00); the others follow it."
    )
    legacy_get_delete: bool = f.flag(False, "/delete_image answers GET, too.")
    tombstone_days: float = f.number(
        90.0,
        0.0,
        3650.0,
        "Days for which deletes are remembered. A node that heard of no peer for longer compares\n"
        "all its pictures with the peers before it serves them again.",
    )
    replicas: int = f.whole(
        0, 0, 1000, "Nodes that keep each picture, chosen by rendezvous hashing; 0: all nodes."
    )
    drop_after: float = f.duration(
        600.0,
        0.0,
        30 * DAY,
        "With replicas limited: a copy that belongs to other nodes alone is kept for so long.",
    )
    shared_storage: bool = f.flag(
        False,
        "Several nodes use this storage folder and this database; nothing is cloned between them.",
    )
    workers: int = f.whole(8, 1, 256, "Clones that are fetched at once.")
    connect_timeout: float = f.duration(1.0, 0.01, 60.0, "Longest wait for a connection to a peer.")
    read_timeout: float = f.duration(5.0, 0.1, 600.0, "Longest silence of a peer.")
    poll: float = f.duration(5.0, 0.1, 60.0, "Longest that a peer holds an answer back until news.")
    retry: float = f.duration(
        2.0, 0.05, 3600.0, "First wait after a clone that failed; it doubles."
    )
    longest_retry: float = f.duration(
        600.0, 0.1, 86400.0, "Longest wait after a clone that failed."
    )
    max_bytes: int = f.size(2 * GB, 1 * KB, 100 * GB, "Largest file that is taken from a peer.")


@dataclasses.dataclass(frozen=True)
class Config:
    """The whole of `image_cloud.ini`; `home` is where `{home}` points."""

    home: str = ""
    node: Node = Node()
    storage: Storage = Storage()
    http: Http = Http()
    resize: Resize = Resize()
    download: Download = Download()
    politeness: Politeness = Politeness()
    prefetch: Prefetch = Prefetch()
    failures: Failures = Failures()
    database: Database = Database()
    tokens: Tokens = Tokens()
    clients: Clients = Clients()
    pools: Pools = Pools()
    watchdog: Watchdog = Watchdog()
    janitor: Janitor = Janitor()
    cluster: Cluster = Cluster()
