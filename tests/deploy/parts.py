"""What stages are made of: an origin, pictures, clients of nodes and load balancer, a constant load."""

from __future__ import annotations

import contextlib
import http.client
import io
from collections.abc import Iterator

from PIL import Image

from tests.deploy.client import Client
from tests.deploy.hosts import CONTROLLER, Host
from tests.deploy.load import Load
from tests.deploy.world import World
from tests.origin import Origin


@contextlib.contextmanager
def origin() -> Iterator[Origin]:
    """A shop that all hosts reach."""
    with Origin(address=CONTROLLER) as shop:
        yield shop


def picture(seed: int) -> bytes:
    """Return a JPEG that no other seed gives."""
    image = Image.new("RGB", (640, 480), (seed * 37 % 256, seed * 91 % 256, seed * 13 % 256))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", comment=str(seed).encode())
    return buffer.getvalue()


def node(world: World, host: Host) -> Client:
    """Return a client of one node's own port."""
    return Client(host.address, 5000, world.token)


def balancer(world: World) -> Client:
    """Return a client of the load balancer."""
    return Client(world.hosts["ic00"].address, 80, world.token)


def has(client: Client, url: str) -> bool:
    """Say whether a node answers with the original of `url` from its storage."""
    return _status_of_local(client, url) == 200


def lacks(client: Client, url: str) -> bool:
    """Say whether it answers that it has none."""
    return _status_of_local(client, url) == 404


def stores(client: Client, url: str) -> bool:
    """Have a node download `url`, if need be, and say whether it did."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        return client.ask("/get_image", url=url).status == 200
    return False


def _status_of_local(client: Client, url: str) -> int:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return client.ask("/get_image", url=url, only_send_if_local="true").status
    return 0


@contextlib.contextmanager
def under_load(world: World) -> Iterator[Load]:
    """Ask the load balancer all the time; AssertionError if anything failed."""
    client = balancer(world)
    with origin() as shop:
        body = picture(99)
        stored = [shop.serve(f"/stored-{number}.jpg", body) for number in range(8)]
        for url in stored:
            assert client.thumbnail(url).status == 200
        new_url = lambda number: shop.serve(f"/new-{number}.jpg", body)  # noqa: E731
        with Load(client, stored, new_url) as load:
            yield load
    print(f"deploy-test:   meanwhile {load.summary()}, {len(load.failed)} failed", flush=True)
    assert not load.failed, load.failed[:10]
    assert load.misses > 0


def succeeds(host: Host, script: str) -> bool:
    """Say whether a shell script does on a host."""
    return host.run(script, timeout_s=20)[0] == 0


def version(host: Host) -> str:
    """Return the release in force on a host."""
    return host.sh("basename $(readlink /opt/image_cloud/current)")
