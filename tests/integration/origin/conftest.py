"""Origins, plain and with TLS, and clients for them."""

import dataclasses
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from image_cloud.config.sections import Download
from image_cloud.origin import Origin
from tests import fetching
from tests import origin as wire
from tests.fetching import Secure


@pytest.fixture
def server() -> Iterator[wire.Origin]:
    with wire.Origin() as running:
        yield running


@pytest.fixture
def settings() -> Download:
    """Small limits, so that no test waits; loopback is allowed."""
    return Download(
        allow_networks=(ipaddress.ip_network("127.0.0.0/8"),),
        max_bytes=1_000_000,
        connect_timeout=2.0,
        read_timeout=5.0,
        total_timeout=10.0,
        user_agent="ImageCloudTest/1",
    )


@pytest.fixture
def client(settings: Download) -> Origin:
    return Origin(settings)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fetching.certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secure(certificate: Path) -> Iterator[Secure]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    running = Secure(tls=context)
    context.sni_callback = lambda sock, name, ctx: running.names.append(name)
    with running:
        yield running


@pytest.fixture
def trusting(settings: Download, certificate: Path) -> Download:
    return dataclasses.replace(settings, ca_file=str(certificate / "cert.pem"))
