from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from image_cloud.config.sections import Database as Settings
from image_cloud.db.connect import Database
from image_cloud.process.log_formats import NO_ID, current_id
from tests.decoding import Daemon, configured
from tests.origin import Origin
from tests.postgres import Cluster, memory
from tests.stack.running import Stack

# Quick to fail, and nothing that a test has to wait for.
SETTINGS = (
    "download.allow_networks=127.0.0.0/8, ::1/128;download.total_timeout=5 s"
    ";download.read_timeout=3 s;download.respect_robots_tags=noai;resize.decode_timeout=4 s"
    ";tokens.verdict_keep=5 s;janitor.interval=1 s;pools.front_workers=2;pools.fetch_workers=2"
)


# Every run sees the same examples; others with: pytest --hypothesis-profile=random
hypothesis.settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
hypothesis.settings.register_profile("random", deadline=None)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def of_no_request() -> None:
    """Forget the request that an earlier test was about; a pool would be in a context of its own."""
    current_id.set(NO_ID)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """A running stack that all tests share; a test that breaks something mends it.

    Not below pytest's own folder, which every other pytest of this user closes to the run user again.
    """
    with (
        tempfile.TemporaryDirectory(prefix="image-cloud-") as folder,
        Stack(Path(folder) / "home", settings=SETTINGS) as running,
    ):
        yield running


@pytest.fixture(scope="session")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The socket of a decoder with the default settings."""
    with Daemon(configured(tmp_path_factory.mktemp("decoder"))) as running:
        yield running.path


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as running:
        yield running


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL of our own, for tests that need nothing else of a stack."""
    with Cluster(parent=memory()) as running:
        yield running


@pytest.fixture
def settings(cluster: Cluster) -> Iterator[Settings]:
    """How to reach an empty, migrated database."""
    settings = cluster.new_database()
    yield settings
    cluster.drop(settings)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """An empty, migrated database."""
    opened = Database(settings)
    yield opened
    opened.close()
