"""Every section of `image_cloud.ini`, every option, every default."""

from __future__ import annotations

import dataclasses
import ipaddress

from image_cloud.config import fields as f

KB, MB, GB, MIB, GIB = 10**3, 10**6, 10**9, 2**20, 2**30
DAY = 86400.0

DECODABLE = ("jpeg", "png", "webp", "gif", "bmp", "tiff", "avif", "heic", "jpeg2000", "ico")
ENCODABLE = ("jpeg", "png", "webp", "gif", "bmp", "tiff", "avif")
AUTO_FORMATS = ("jpeg", "webp", "avif")
THUMBNAIL_FORMATS = ("jpeg", "webp", "auto")
# Ports of other protocols, which a URL could make this node talk to.
OTHER_PROTOCOLS_PORTS = (
    20, 21, 22, 23, 25, 53, 69, 110, 111, 119, 123, 135, 137, 139, 143, 161, 179, 389, 445, 465,
    514, 587, 636, 993, 995, 1433, 1521, 2049, 2379, 3306, 5432, 5436, 6000, 6379, 9092, 11211, 27017,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Node:
    """This node: its name and its address."""

    name: str = f.text(
        "ic00", "This node's name.", pattern=r"[a-z0-9][a-z0-9-]{0,62}", form="a host name"
    )
    listen: str = f.text(
        "127.0.0.1:5000",
        "Where nginx listens.",
        pattern=r"(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]|\*):\d{1,5}",
        form="ADDRESS:PORT",
    )
    run: str = f.path(
        "{home}/run", "Folder of sockets and other files that do not outlive a restart."
    )
    access_log: str = f.path(
        "{home}/log/nginx/access.log", "nginx's access log; /metrics counts its lines."
    )
    history: str = f.path(
        "{home}/history/history.sqlite",
        "The node's last 14 days: an SQLite file of at most 50 MB, on a local disk, in a folder of its\n"
        "own that the run user may write.",
    )
    log_level: str = f.choice("info", ("debug", "info", "warning", "error"), "Lowest level to log.")
    log_format: str = f.choice(
        "logfmt", ("logfmt", "json"), "Lines of key=value facts, or the same facts as JSON."
    )


@dataclasses.dataclass(frozen=True)
class Storage:
    """Where pictures are kept."""

    path: str = f.path("{home}/storage", "Folder of originals, variants and remembered failures.")
    variants_path: str = f.optional_path(
        "Folder of the variants, the remembered failures and what else a hit looks at: on a local disk\n"
        "where several nodes share `path`, and each node has its own. Nothing: below `path`."
    )
    unstored_max_bytes: int = f.size(
        256 * MB,
        0,
        1000 * GB,
        "Memory in each fetch process for pictures passed through while the storage is full.",
    )
    unstored_keep: float = f.duration(
        60.0, 0.0, 3600.0,
        "How long such a picture is kept in memory (/dev/shm), so that its origin is not asked again for\n"
        "each request; 0 s: not at all.",
    )  # fmt: skip
    unstored_kept_bytes: int = f.size(
        64 * MB, 0, 1000 * GB, "Memory of the node for these; the oldest make room."
    )
    variants_max_bytes: int = f.size(
        100 * GB,
        0,
        10**15,
        "Total size of variants; beyond it the least recently used are evicted.",
    )
    min_free_bytes: int = f.size(
        16 * MB,
        0,
        10**13,
        "Free space to keep in reserve. Nothing is stored while less is free, which leaves room for\n"
        "deletes, the database and logs. Variants are evicted first to have it again.",
    )
    min_free_inodes: int = f.whole(
        1000,
        0,
        10**9,
        "Inodes to keep in reserve in the same way, where the file system has a fixed number.",
    )

    @property
    def local(self) -> str:
        """Return the folder of the variants."""
        return self.variants_path or self.path


@dataclasses.dataclass(frozen=True)
class Http:
    """How pictures are sent."""

    cache_control: str = f.text(
        "public, max-age=86400",
        "Cache-Control of every picture.",
        pattern=r"[A-Za-z0-9=, _-]+",
        form="a Cache-Control value",
    )
    allow_origins: tuple[str, ...] = f.listing(
        (),
        "Origins of web pages whose scripts may read answers (CORS), such as https://shop.example; *: all.",
        item=f.origin_item,
        form="a list of origins like https://shop.example in lower case, * or nothing",
    )
    fallback_image: str = f.optional_path(
        "Picture that requests with fallback=true get where theirs cannot be had; nothing: a grey one.\n"
        "Read when the pools start."
    )
    fallback_status: str = f.choice(
        "200", ("200", "404", "410", "502", "503"), "HTTP status that it is sent with."
    )


@dataclasses.dataclass(frozen=True)
class Resize:
    """How pictures are resized, and the limits."""

    formats: tuple[str, ...] = f.listing(
        ("jpeg", "png", "webp", "gif", "bmp", "tiff", "avif", "heic"),
        "Formats to accept from origins; anything else is refused.",
        item=f.choice_item(*DECODABLE),
        form="a list out of " + ", ".join(DECODABLE),
        at_least=1,
    )
    max_side: int = f.whole(
        5000, 1, 65535, "Largest width or height a client may ask for, in pixels."
    )
    format_when_resize: str = f.choice(
        "jpeg",
        (*ENCODABLE, "auto"),
        "Default format of resized pictures; auto: by the request's Accept.",
    )
    auto_formats: tuple[str, ...] = f.listing(
        ("webp", "jpeg"),
        "What auto chooses from: the first that the request's Accept names, else a JPEG.",
        item=f.choice_item(*AUTO_FORMATS),
        form="a list out of " + ", ".join(AUTO_FORMATS),
        at_least=1,
    )
    quality: int = f.whole(
        85, 1, 100, "Default quality of resized pictures, in formats that have one."
    )
    thumbnail_sizes: tuple[int, ...] = f.listing(
        (100, 200, 250, 400, 800),
        "Sizes that /get_thumbnail offers, in pixels.",
        item=f.whole_item(1, 65535),
        form="a list of whole numbers, 1 to 65535",
        at_least=1,
    )
    thumbnail_size: int = f.whole(200, 1, 65535, "Default size of /get_thumbnail.")
    thumbnail_quality: int = f.whole(85, 1, 100, "Quality of /get_thumbnail.")
    thumbnail_format: str = f.choice("jpeg", THUMBNAIL_FORMATS, "Default format of /get_thumbnail.")
    thumbnails_together: tuple[int, ...] = f.listing(
        (200, 250),
        "Thumbnail sizes that clients usually request together; one decode makes them all. Sizes\n"
        "missing from thumbnail_sizes are ignored.",
        item=f.whole_item(1, 65535),
        form="a list of whole numbers, 1 to 65535, or nothing",
    )
    ladder_side: int = f.whole(
        768,
        0,
        4096,
        "Longest side of the reduced copy that further sizes of a JPEG are made from; 0: no copy.",
    )
    max_pixels: int = f.whole(50_000_000, 1, 2**31 - 1, "Largest picture to decode, in pixels.")
    max_jpeg_pixels: int = f.whole(
        300_000_000,
        1,
        2**31 - 1,
        "Largest JPEG to decode, in pixels, where a smaller picture is asked for: libjpeg draws it at 1/2,\n"
        "1/4 or 1/8, and max_pixels holds for what it draws.",
    )
    max_frames: int = f.whole(1000, 1, 10**6, "Most frames in an animated picture.")
    max_scans: int = f.whole(100, 1, 10**4, "Most scans in a progressive JPEG.")
    decode_timeout: float = f.duration(20.0, 0.1, 600.0, "Time limit for one resize.")
    worker_memory: int = f.size(
        1 * GIB, 128 * MIB, 64 * GIB, "Memory limit of one worker of the decoder."
    )
    reducing_gap: float = f.number(
        1.0, 1.0, 4.0, "A JPEG is decoded at no less than this many times the wanted size."
    )


@dataclasses.dataclass(frozen=True)
class Download:
    """Which origins may be fetched from, and the limits of a download."""

    allow_networks: tuple[f.Network, ...] = f.listing(
        (),
        "Private, local or reserved networks that may be fetched from all the same.",
        item=f.network_item,
        form="a list of networks like 10.0.0.0/8, or nothing",
    )
    allow_domains: tuple[str, ...] = f.listing(
        (), "The only domains (with their sub-domains) to fetch from; empty: all.",
        item=f.domain_item, form="a list of domain names, or nothing",
    )  # fmt: skip
    deny_domains: tuple[str, ...] = f.listing(
        (), "Domains (with their sub-domains) never to fetch from.",
        item=f.domain_item, form="a list of domain names, or nothing",
    )  # fmt: skip
    allow_ports: tuple[int, ...] = f.listing(
        (), "The only ports to fetch from; empty: all except deny_ports.",
        item=f.whole_item(1, 65535), form="a list of ports, 1 to 65535, or nothing",
    )  # fmt: skip
    deny_ports: tuple[int, ...] = f.listing(
        OTHER_PROTOCOLS_PORTS, "Ports never to fetch from.",
        item=f.whole_item(1, 65535), form="a list of ports, 1 to 65535, or nothing",
    )  # fmt: skip
    max_bytes: int = f.size(50 * MB, 1 * KB, 2 * GB, "Largest file to accept from an origin.")
    max_redirects: int = f.whole(5, 0, 20, "Most redirects to follow.")
    connect_timeout: float = f.duration(5.0, 0.1, 120.0, "Time limit for connecting.")
    read_timeout: float = f.duration(15.0, 0.1, 600.0, "Longest time an origin may send nothing.")
    total_timeout: float = f.duration(30.0, 0.1, 3600.0, "Time limit for a whole download.")
    user_agent: str = f.text(
        "ImageCloud/0.1 (+mailto:postmaster@localhost)",
        "User-Agent sent to origins; put the operator's contact in it.",
        pattern=r"[\x20-\x7e]{1,200}",
        form="1 to 200 printable ASCII characters",
    )
    origins_file: str = f.path(
        "{home}/origins.json",
        'Headers for requests to some hosts: {"shop.example": {"Referer": "https://shop.example/"}}; mode\n'
        "0600. Read again when it changes.",
    )
    respect_robots_tags: tuple[str, ...] = f.listing(
        (),
        "Rules of an origin's X-Robots-Tag that keep its pictures out, such as noai, noimageai;\n"
        "empty: none.",
        item=f.word_item,
        form="a list of words like noai, noimageai, or nothing",
    )
    ca_file: str = f.text(
        "",
        "CA certificates to check origins against; empty: the bundled ones.",
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
    """How many downloads run at once per domain, and when to pause a domain."""

    limits_file: str = f.path(
        "{home}/max_downloads.json",
        'Parallel downloads of each domain: {"default": 8, "shop.example": 2}; an entry covers its\n'
        "sub-domains. Read again when it changes.",
    )
    slot_wait: float = f.duration(
        30.0,
        0.0,
        600.0,
        "Longest time a request waits for a domain's slot before it gets a 503.",
    )
    waiting: int = f.whole(
        512,
        1,
        10_000,
        "Most requests for pictures of one domain in each fetch process, waiting ones included; the next\n"
        "gets a 503 at once. However high, a domain never takes more places than it leaves free.",
    )
    failures: int = f.whole(20, 1, 10**6, "Failures in a row after which the domain is paused.")
    first_pause: float = f.duration(30.0, 0.1, DAY, "First pause of a domain.")
    longest_pause: float = f.duration(
        600.0, 0.1, 30 * DAY, "Longest pause; each one is twice as long as the one before."
    )
    jitter: float = f.number(0.2, 0.0, 0.9, "Random variation of each time, as a share of it.")
    longest_retry_after: float = f.duration(
        3600.0,
        0.1,
        DAY,
        "Longest time for which an origin's Retry-After (with 429 and 503) pauses its domain.",
    )
    longest_retry_after_interactive: float = f.duration(
        300.0, 0.1, DAY, "Longest such time for users' requests."
    )


@dataclasses.dataclass(frozen=True)
class Prefetch:
    """POST /fire_and_forget, and the daemon that fetches what it takes."""

    processes: int = f.whole(
        0,
        0,
        64,
        "Processes that download, as long as there is work for them; 0: two per core, up to 8,\n"
        "or one per core where those are more.",
    )
    threads: int = f.whole(512, 1, 1000, "Downloads that these run at once, over all domains.")
    resizes: int = f.whole(
        0, 0, 256, "Thumbnails that these have made at once, at least one each; 0: one per core."
    )
    tries: int = f.whole(4, 1, 100, "Tries after which a URL counts as failed.")
    first_wait: float = f.duration(30.0, 0.05, DAY, "Wait before the second try.")
    longest_wait: float = f.duration(
        3600.0,
        0.05,
        30 * DAY,
        "Longest wait between tries; each is twice as long as the one before.",
    )
    jitter: float = f.number(0.2, 0.0, 0.9, "Random variation of each wait, as a share of it.")
    give_up_after: float = f.duration(
        7200.0,
        0.1,
        30 * DAY,
        "A paused domain that has answered nothing for so long is dead: all its URLs have failed.",
    )
    lease: float = f.duration(
        120.0,
        5.0,
        DAY,
        "Time after which another daemon takes over a URL whose daemon gives no sign of life; the\n"
        "URLs of a dead process are taken over at once.",
    )
    idle: float = f.duration(0.25, 0.01, 60.0, "Pause between two looks for new work.")
    keep_batches: float = f.duration(
        30 * DAY, 60.0, 3650 * DAY, "How long finished batches are kept."
    )
    callback_first_wait: float = f.duration(
        30.0,
        0.05,
        40.0,
        "Wait before a batch's callback is tried a second time; each of the three later waits is four\n"
        "times as long as the one before.",
    )
    max_bodies: int = f.whole(2, 1, 64, "Bodies of POST /fire_and_forget read at once; more wait.")
    body_wait: float = f.duration(30.0, 0.0, 600.0, "Longest such wait before the call gets a 503.")
    memory: int = f.size(
        1 * GIB,
        128 * MIB,
        64 * GIB,
        "Memory limit of the daemon and of the control pool, which reads the bodies.",
    )


@dataclasses.dataclass(frozen=True)
class Refresh:
    """When origins are asked whether they have changed a picture."""

    after: float = f.duration(
        0.0,
        0.0,
        3650 * DAY,
        "Age at which a picture is asked for again in the background, at the lowest priority and within\n"
        "its domain's limits; one that somebody asks for is sent at once and comes first. 0 s: never.",
    )
    least_age: float = f.duration(
        1.0, 0.0, 3600.0, "Shortest time between two checks of one URL, whatever max_age says."
    )
    gone_after: int = f.whole(
        3, 1, 1000, "Checks in a row with 404 or 410 after which a picture counts as gone."
    )
    delete_gone: bool = f.flag(
        False, "Whether such a picture is then deleted, on every node; else it is only shown."
    )


@dataclasses.dataclass(frozen=True)
class Failures:
    """How long failed URLs are remembered, so that many requests cost the origin only one."""

    not_found_keep: float = f.duration(
        3600.0, 1.0, 30 * DAY, "After the origin answered 404 or 410."
    )
    first_keep: float = f.duration(30.0, 0.1, DAY, "After the first of any other failures.")
    longest_keep: float = f.duration(
        600.0, 0.1, 30 * DAY, "Longest time; each one is twice as long as the one before."
    )
    jitter: float = f.number(0.2, 0.0, 0.9, "Random variation of each time, as a share of it.")


@dataclasses.dataclass(frozen=True)
class Database:
    """PostgreSQL."""

    dsn: str = f.text(
        "host={home}/run/postgres port=5436 user=image_cloud dbname=image_cloud",
        "Connection string (libpq); {home} stands for the home folder. A primary and its standby: "
        "host=db1,db2 ... target_session_attrs=read-write.",
        pattern=r".+",
        form="a libpq connection string",
    )
    connect_timeout: float = f.duration(3.0, 1.0, 60.0, "Time limit for connecting.")
    statement_timeout: float = f.duration(30.0, 0.1, 3600.0, "Time limit for one statement.")


@dataclasses.dataclass(frozen=True)
class Tokens:
    """Who may do what."""

    file: str = f.path(
        "{home}/tokens.json", "File of clients, scopes and hashed tokens; its mode must be 0600."
    )
    verdict_keep: float = f.duration(
        20.0,
        0.0,
        28.0,
        "How long nginx caches that a token may read; a revoked token stops working within this time.",
    )


LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@dataclasses.dataclass(frozen=True)
class Clients:
    """Limits per client, timeouts for slow clients, and TLS (docs/operations.md)."""

    rate: int = f.whole(
        0,
        0,
        10**6,
        "Requests a second allowed to one token; more get a 429; 0: no limit.",
    )
    burst: int = f.whole(
        1000, 0, 10**6, "Requests beyond the rate that are let through in a burst."
    )
    rate_without_token: int = f.whole(
        0,
        0,
        10**6,
        "Requests a second allowed to an address without a valid token, or with signed URLs; 0: no limit.",
    )
    burst_without_token: int = f.whole(
        1000, 0, 10**6, "Requests beyond the rate that are let through in a burst."
    )
    connections: int = f.whole(
        0,
        0,
        10**6,
        "Simultaneous requests allowed to one address; more get a 429; 0: no limit.",
    )
    unlimited: tuple[f.Network, ...] = f.listing(
        LOOPBACK,
        "Networks exempt from these limits: peers, health checks.",
        item=f.network_item,
        form="a list of networks like 10.0.0.0/8, or nothing",
    )
    trusted_proxies: tuple[f.Network, ...] = f.listing(
        (),
        "Networks of load balancers whose X-Forwarded-For and X-Request-Id are believed.",
        item=f.network_item,
        form="a list of networks like 10.0.0.0/8, or nothing",
    )
    header_timeout: float = f.duration(
        10.0, 1.0, 600.0, "Time limit for a request's head, and for a TLS handshake."
    )
    body_timeout: float = f.duration(15.0, 1.0, 600.0, "Longest pause within a request's body.")
    body_total_timeout: float = f.duration(
        120.0, 1.0, 3600.0, "Time limit for the whole body of a POST /fire_and_forget."
    )
    bodies: int = f.whole(
        2000,
        1,
        10**5,
        "Bodies of POST /fire_and_forget that each process of nginx receives at once, of at most\n"
        "32 MiB each on disk; more get a 503.",
    )
    bodies_per_address: int = f.whole(
        64, 0, 10**5, "How many of them may come from one address; more get a 429; 0: no limit."
    )
    send_timeout: float = f.duration(
        30.0, 1.0, 600.0, "Longest time a client may read nothing of a response."
    )
    keepalive: float = f.duration(75.0, 0.0, 3600.0, "How long to keep an idle connection.")
    tls_listen: str = f.text(
        "",
        "A second address for nginx, with TLS only.",
        pattern=r"((\d{1,3}(\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]|\*):\d{1,5})?",
        form="ADDRESS:PORT, or nothing",
    )
    tls_certificate: str = f.optional_path(
        "PEM file of the certificate with its chain; nginx reads it when it reloads."
    )
    tls_key: str = f.optional_path("PEM file of its key; nginx's user must be able to read it.")


@dataclasses.dataclass(frozen=True)
class Pools:
    """Processes, threads and queues of the pools."""

    front_workers: int = f.whole(
        2, 1, 64, "Processes of the front pool, which checks tokens and looks at the disk."
    )
    front_threads: int = f.whole(4, 1, 64, "Threads of each.")
    fetch_workers: int = f.whole(
        0, 0, 64, "Processes of the fetch pool, which downloads; 0: one for two cores."
    )
    fetch_threads: int = f.whole(
        1024,
        4,
        4096,
        "Most downloads of each at once, waiting ones included; each has a thread, which starts when it is\n"
        "needed and ends when it is not.",
    )
    fetch_queue: int = f.whole(
        2048, 1, 100_000, "Most requests in the fetch pool, waiting ones included."
    )
    batch_queue: int = f.whole(
        64, 1, 1024, "Most calls of /fire_and_forget at once, waiting ones included."
    )
    delete_queue: int = f.whole(64, 1, 1024, "Most deletes at once, waiting ones included.")
    feed_queue: int = f.whole(
        256,
        1,
        1024,
        "Most requests for the change feed at once, those that wait for news included.",
    )
    stream_queue: int = f.whole(
        4,
        1,
        64,
        "Most streams of originals to peers at once; a peer that finds no place tries again soon.",
    )
    status_queue: int = f.whole(
        16, 1, 1024, "Most requests of operators at once: what is explained, what is shown."
    )
    pages_queue: int = f.whole(16, 1, 1024, "Most requests for the operator's pages at once.")
    resize_workers: int = f.whole(
        2, 1, 256, "Workers of the decoder, each a process that resizes one picture at a time."
    )
    resize_queue: int = f.whole(
        2048,
        1,
        100_000,
        "Most requests that wait for the decoder; besides, prefetch may have a quarter as many waiting.\n"
        "With no less than fetch_queue no download is made in vain.",
    )


@dataclasses.dataclass(frozen=True)
class Watchdog:
    """When to restart a program that runs but no longer serves."""

    unanswered: float = f.duration(
        20.0,
        1.0,
        3600.0,
        "A pool that neither answered nor finished a request for so long, and for longer than its\n"
        "longest request may take, is hung.",
    )
    longest_step: float = f.duration(
        3600.0,
        1.0,
        30 * DAY,
        "A daemon is hung when a step of one of its threads takes longer than this, and longer than its\n"
        "longest wait for an origin or a peer.",
    )


@dataclasses.dataclass(frozen=True)
class Janitor:
    """The clean-up daemon."""

    interval: float = f.duration(10.0, 0.1, 3600.0, "Pause between two rounds.")
    audit_bytes_per_second: int = f.size(
        5 * MB,
        0,
        10 * GB,
        "How fast the audit re-reads originals to find damaged ones, per second; 0 B: never.",
    )
    audit_pause: float = f.duration(
        86400.0, 0.0, 365 * DAY, "Pause between two audits of the whole storage."
    )


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The other nodes: cloning, deletes, replicas."""

    peers: tuple[f.Peer, ...] = f.listing(
        (),
        "All nodes that clone from each other. A node skips its own name, so every node can have\n"
        "the same line.",
        item=f.peer_item,
        form="a list of NAME=URL like ic01=http://ic01:5000, or nothing",
    )
    token_file: str = f.path(
        "{home}/peer_token",
        "File (mode 0600) of the token, with scopes peer and read, that is sent to peers.",
    )
    accept_deletes: bool = f.flag(
        True,
        "Whether this node accepts /delete_image: true on one node (ic00), which the others follow.",
    )
    legacy_get_delete: bool = f.flag(False, "Whether /delete_image answers GET as well.")
    tombstone_days: float = f.number(
        90.0,
        0.0,
        3650.0,
        "Days for which deletes are kept. A node without contact to any peer for longer compares\n"
        "all its pictures with the peers before it serves them again.",
    )
    most_deletes_per_hour: int = f.whole(
        10_000,
        0,
        10**9,
        "Pictures of this node that the feed of one peer may delete in an hour. Beyond that the feed\n"
        "is stopped until an operator says `image-cloud allow-deletes PEER`.",
    )
    replicas: int = f.whole(
        0, 0, 1000, "Nodes that keep each picture, chosen by rendezvous hashing; 0: all nodes."
    )
    drop_after: float = f.duration(
        600.0,
        0.0,
        30 * DAY,
        "With limited replicas: how long to keep a copy that belongs on other nodes.",
    )
    shared_storage: bool = f.flag(
        False,
        "Whether several nodes share this storage folder and database; nothing is cloned then.",
    )
    workers: int = f.whole(8, 1, 256, "Clones to fetch at once.")
    connect_timeout: float = f.duration(1.0, 0.01, 60.0, "Time limit for connecting to a peer.")
    read_timeout: float = f.duration(5.0, 0.1, 600.0, "Longest time a peer may send nothing.")
    poll: float = f.duration(
        5.0, 0.1, 60.0, "Longest time a peer holds a feed request open while it has no news."
    )
    retry: float = f.duration(
        2.0, 0.05, 3600.0, "Wait after a clone first fails; doubled each time."
    )
    longest_retry: float = f.duration(600.0, 0.1, 86400.0, "Longest wait after a failed clone.")
    max_bytes: int = f.size(2 * GB, 1 * KB, 100 * GB, "Largest file to accept from a peer.")


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
    refresh: Refresh = Refresh()
    failures: Failures = Failures()
    database: Database = Database()
    tokens: Tokens = Tokens()
    clients: Clients = Clients()
    pools: Pools = Pools()
    watchdog: Watchdog = Watchdog()
    janitor: Janitor = Janitor()
    cluster: Cluster = Cluster()
