"""How long a search for near-duplicates takes in a catalogue of many pictures, and how large its index is.

python -m bench.similar [--rows 1000000] [--queries 500]
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import random
import statistics
import time
from collections.abc import Sequence

import psycopg2

from image_cloud.config.sections import Database as Settings
from image_cloud.db import hashes
from image_cloud.db.connect import Database
from image_cloud.picture.dhash import Hash, code_of, dhash_of
from image_cloud.similar.request import SimilarRequest
from image_cloud.similar.search import Similar
from tests.postgres import Cluster

CONF = "listen_addresses = ''\nshared_buffers = 256MB\nmax_wal_size = 4GB\nfsync = off\n"
AT_ONCE = 250_000
BATCHES, BATCH = 100, 200
STATEMENT_S = 3600.0
# Of each hundred pictures so many have a hash whose other bits are 0: product photos have plain borders.
SHARES = {
    "f" * 16: 50,
    "00" + "ff" * 6 + "00": 30,
    "00" + "7e" * 6 + "00": 15,
    "0000" + "7e" * 4 + "0000": 5,
}
ALONE = """
    DROP INDEX images_host, images_feed, images_tombstones, images_age, images_gone;
    ALTER TABLE images DISABLE TRIGGER ALL;
    ALTER TABLE images DROP CONSTRAINT images_pkey;
    ALTER TABLE hashes DROP CONSTRAINT hashes_pkey;
    DROP INDEX hashes_code, hashes_code_16, hashes_code_32, hashes_code_48;
"""
FILL = """
    WITH made AS (
        SELECT encode(sha256(n::text::bytea), 'hex') AS key, encode(sha256(('b' || n)::bytea), 'hex') AS sha256,
               (('x' || left(md5('h' || n), 16))::bit(64)::bigint)
               & (%(masks)s::bigint[])[1 + n %% cardinality(%(masks)s::bigint[])] AS code, n
        FROM generate_series(%(first)s, %(last)s) AS n),
    catalogued AS (
        INSERT INTO images (key, url, host, format, width, height, bytes, sha256, stored_at, stored_from)
        SELECT key, 'http://shop.example/' || n, 'shop.example', 'jpeg', 800, 600, 100000, sha256, now(), 'origin'
        FROM made)
    INSERT INTO hashes (key, version, code)
    SELECT key, ('x' || left(sha256, 16))::bit(64)::bigint, code FROM made
"""
INDEXES = """
    ALTER TABLE hashes ADD PRIMARY KEY (key);
    CREATE INDEX hashes_code ON hashes (code);
    CREATE INDEX hashes_code_16 ON hashes (code_16);
    CREATE INDEX hashes_code_32 ON hashes (code_32);
    CREATE INDEX hashes_code_48 ON hashes (code_48);
"""
SIZES = """
    SELECT relname, pg_relation_size(oid) FROM pg_class
    WHERE relname LIKE 'hashes%' AND relkind IN ('r', 'i') ORDER BY relname
"""


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=500)
    arguments = parser.parse_args()
    with Cluster(CONF) as cluster:
        settings = dataclasses.replace(cluster.new_database(), statement_timeout=STATEMENT_S)
        database = Database(settings)
        fill(database, arguments.rows)
        _vacuum(settings)
        print_sizes(database)
        measure_writes(database)
        for within in (0, 3, 6, 10):
            measure(database, within, arguments.queries)
        database.close()


def fill(database: Database, rows: int) -> None:
    """Write `rows` pictures and their hashes, then build the indexes."""
    began = time.monotonic()
    masks = [code_of(mask) for mask, share in SHARES.items() for _ in range(share)]
    with database.transaction() as cursor:
        cursor.execute(ALONE)
    for first in range(0, rows, AT_ONCE):
        last = min(first + AT_ONCE, rows) - 1
        with database.transaction() as cursor:
            cursor.execute(FILL, {"masks": masks, "first": first, "last": last})
    print(
        f"{rows} pictures and their hashes written in {time.monotonic() - began:.0f} s", flush=True
    )
    began = time.monotonic()
    with database.transaction() as cursor:
        cursor.execute(INDEXES)
    print(f"indexes of the hashes built in {time.monotonic() - began:.0f} s", flush=True)
    with database.transaction() as cursor:
        cursor.execute("ALTER TABLE images ADD PRIMARY KEY (key)")


def _vacuum(settings: Settings) -> None:
    """Do what autovacuum does in its own time."""
    with contextlib.closing(psycopg2.connect(settings.dsn)) as connection:
        connection.autocommit = True
        connection.cursor().execute("VACUUM ANALYZE hashes")


def print_sizes(database: Database) -> None:
    """Print how large the table and its indexes are."""
    with database.transaction() as cursor:
        cursor.execute(SIZES)
        sizes = dict(cursor.fetchall())
    print(", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in sizes.items()))
    print(f"together {sum(sizes.values()) / 1e6:.0f} MB")


def measure_writes(database: Database) -> None:
    """Print how many hashes a second are put in as the recorder does."""
    choice = random.Random(1)
    batches = [
        [
            Hash(f"{choice.getrandbits(256):064x}", f"{choice.getrandbits(256):064x}", f"{choice.getrandbits(64):016x}")
            for _ in range(BATCH)
        ]
        for _ in range(BATCHES)
    ]  # fmt: skip
    began = time.monotonic()
    for batch in batches:
        with database.transaction() as cursor:
            hashes.put(cursor, batch)
    print(
        f"writes: {BATCHES * BATCH / (time.monotonic() - began):.0f} hashes/s, {BATCH} a transaction"
    )


def measure(database: Database, within: int, queries: int) -> None:
    """Print how long searches take for pictures chosen at random, and how many they find."""
    similar, choice = Similar(database), random.Random(within)
    with database.transaction() as cursor:
        chosen = hashes.sample(cursor, f"{choice.getrandbits(256):064x}", queries, 0)
    seconds, found = [], []
    for key, code in chosen:
        began = time.perf_counter()
        told = similar.search(SimilarRequest(None, dhash_of(code), within, but_key=key))
        seconds.append(time.perf_counter() - began)
        found.append(len(told["pictures"]))
    print(
        f"within {within:2}: p50 {_ms(seconds, 50)} ms, p95 {_ms(seconds, 95)} ms, p99 {_ms(seconds, 99)} ms, "
        f"{statistics.mean(found):.1f} found on average ({len(seconds)} searches)"
    )


def _ms(seconds: Sequence[float], percent: int) -> str:
    return f"{1000 * statistics.quantiles(seconds, n=100)[percent - 1]:.1f}"


if __name__ == "__main__":
    main()
