"""How long a claim takes with 1,000,000 URLs waiting over 5,000 domains, after 1,000,000 were worked off.

python -m bench.prefetch_claims [WAITING]
"""

from __future__ import annotations

import statistics
import sys
import time
import uuid

from image_cloud.db.connect import Database
from image_cloud.db.prefetch import intake, outcomes, queue
from image_cloud.db.prefetch.outcomes import Outcome
from tests.postgres import Cluster

DOMAINS, CLAIMS, CHUNK = 5000, 2000, 10_000
CONF = "listen_addresses = ''\nshared_buffers = 64MB\nmax_wal_size = 1GB\n"
FILL = """
    INSERT INTO prefetch_requests (key, url, domain, batch, turn, priority, thumbnails)
    SELECT encode(sha256(n::text::bytea), 'hex'), 'http://shop' || n %% %(domains)s || '.example/' || n,
           'shop' || n %% %(domains)s || '.example', %(batch)s, n, 0, '{}'
    FROM generate_series(%(first)s, %(last)s) AS n
"""
LEASE = """
    UPDATE prefetch_requests SET ready = false, owner = %(owner)s, next_at = now()
    WHERE turn BETWEEN %(first)s AND %(last)s AND ready
"""
WORK_OFF = "DELETE FROM prefetch_requests WHERE owner = %(owner)s"


def main() -> None:
    """Fill, work off, measure, print."""
    waiting = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with Cluster(CONF) as cluster:
        database = Database(cluster.new_database())
        fill(database, waiting)
        report(database, measure(database))
        print_plans(database)
        database.close()


def fill(database: Database, waiting: int) -> None:
    """Queue twice `waiting` URLs; lease and delete the first half, in pieces, as the daemon would."""
    batch, owner = str(uuid.uuid4()), str(uuid.uuid4())
    began = time.monotonic()
    with database.transaction() as cursor:
        cursor.execute("SET statement_timeout = 0")
    for first in range(0, 2 * waiting, 100_000):
        last = min(first + 100_000, 2 * waiting) - 1
        with database.transaction() as cursor:
            cursor.execute(FILL, {"domains": DOMAINS, "batch": batch, "first": first, "last": last})
    with database.transaction() as cursor:
        intake.wake(cursor, set(queue.all_domains(cursor)))
        cursor.execute("CREATE INDEX bench_turn ON prefetch_requests (turn)")
    for first in range(0, waiting, CHUNK):
        with database.transaction() as cursor:
            cursor.execute(LEASE, {"owner": owner, "first": first, "last": first + CHUNK - 1})
            cursor.execute(WORK_OFF, {"owner": owner})
    with database.transaction() as cursor:
        cursor.execute("DROP INDEX bench_turn")
    print(
        f"{waiting} waiting over {DOMAINS} domains, {waiting} worked off ({time.monotonic() - began:.0f} s)"
    )


def measure(database: Database) -> tuple[list[float], list[float]]:
    """Claim for eight domains at a time and write the outcomes down; return seconds of each."""
    owner = str(uuid.uuid4())
    claims, settled = [], []
    for _ in range(CLAIMS):
        began = time.perf_counter()
        with database.transaction() as cursor:
            domains = queue.whose_turn(cursor, [], 8)
            found = queue.claim(cursor, dict.fromkeys(domains, 2), owner, 60)
        claims.append(time.perf_counter() - began)
        assert len(found) == 16
        began = time.perf_counter()
        with database.transaction() as cursor:
            outcomes.settle(cursor, [Outcome(one.key, one.url) for one in found])
        settled.append(time.perf_counter() - began)
    return claims, settled


def report(database: Database, times: tuple[list[float], list[float]]) -> None:
    for name, seconds in zip(("claim of 16", "outcome of 16"), times, strict=True):
        cuts = statistics.quantiles(seconds, n=100)
        p50_ms, p99_ms, most_ms = (value * 1000 for value in (cuts[49], cuts[98], max(seconds)))
        print(f"{name}: p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms, most {most_ms:.1f} ms")
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT relname, n_live_tup, n_dead_tup, autovacuum_count FROM pg_stat_user_tables"
            " WHERE relname IN ('prefetch_requests', 'prefetch_domains') ORDER BY 1"
        )
        for name, live, dead, vacuums in cursor.fetchall():
            print(f"{name}: {live} live, {dead} dead rows, {vacuums} autovacuums")


def print_plans(database: Database) -> None:
    values = {"busy": [], "most": 8, "owner": str(uuid.uuid4()), "lease_s": 60}
    with database.transaction() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) " + queue.WHOSE_TURN, values)
        plan = [line for (line,) in cursor.fetchall()]
        turn = {"domains": queue.whose_turn(cursor, [], 8), "counts": [2] * 8}
        cursor.execute("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) " + queue.CLAIM, values | turn)
        plan += [line for (line,) in cursor.fetchall()]
    print("\n".join(plan))


if __name__ == "__main__":
    main()
