"""What 100 million pictures cost a node, measured with fewer and scaled (docs/scaling.md has the table).

    .venv/bin/python -m bench.hundred_million --rows 5000000 [--files 5000] [--pictures 100000000]
    .venv/bin/python -m bench.hundred_million --rows 5000000 --dsn DSN      # a database that `fill` filled

Fills a PostgreSQL of its own, with the product's migrations, by COPY; 5 million rows take some minutes and 6 GB.
Times are of CPU: a disk that has to be read comes on top.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
from collections.abc import Iterable, Iterator

from bench.hundred_million import database, disk, pace, plans, rows
from bench.hundred_million.measured import Measured
from bench.hundred_million.meter import Meter
from bench.hundred_million.server import server
from image_cloud.config.sections import Database as Settings
from image_cloud.db.connect import Database


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--files", type=int, default=5_000, help="on disk")
    parser.add_argument("--pictures", type=int, default=100_000_000, help="to be scaled to")
    parser.add_argument("--dsn", default="", help="of a migrated database that has the rows")
    asked = parser.parse_args()
    with _filled(asked.dsn, asked.rows) as dsn:
        report(measure(dsn, asked.rows, asked.files), asked.pictures)
        with _opened(dsn) as catalogue:
            report_plans(plans.measure(catalogue))


@contextlib.contextmanager
def _filled(dsn: str, count: int) -> Iterator[str]:
    """Give how to reach a database with `count` rows."""
    if dsn:
        yield dsn
        return
    with server() as cluster:
        made = cluster.new_database()
        rows.fill(made.dsn, count)
        yield made.dsn


@contextlib.contextmanager
def _opened(dsn: str) -> Iterator[Database]:
    opened = Database(dataclasses.replace(Settings(), dsn=dsn, statement_timeout=3600.0))
    yield opened
    opened.close()


def measure(dsn: str, count: int, files: int) -> Iterator[Measured]:
    """Yield every figure."""
    meter = Meter(dsn)
    with _opened(dsn) as catalogue:
        yield from database.sizes(catalogue, count)
        yield from database.upkeep(dsn, meter, count)
        yield from database.backup(dsn, meter, count)
        yield from database.linear(catalogue, meter, count)
    yield from disk.sample(dsn, meter, 2 * count, files)
    yield from pace.paced()


def report(found: Iterable[Measured], pictures: int) -> None:
    """Print a table of figures, each as soon as it is known."""
    print(f"| | measured with | | formula | {pictures:,} pictures |\n|---|---|---|---|---|")
    for one in found:
        print(one.row(pictures), flush=True)


def report_plans(found: Iterable[tuple[str, str, float]]) -> None:
    """Print a table of queries."""
    print("\n| query | goes through | p50 |\n|---|---|---|")
    for name, scans, median_ms in found:
        print(f"| {name} | {scans} | {median_ms:.2f} ms |", flush=True)


if __name__ == "__main__":
    main()
