"""What is tried, in order; each stage goes on from where the one before left the hosts."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Callable, Iterator

from PIL import Image

from tests.deploy.client import Client
from tests.deploy.hosts import CONTROLLER, Host, until
from tests.deploy.world import World
from tests.origin import Origin


def check_bare(world: World) -> None:
    """A check of bare hosts says what would happen and changes nothing."""
    output = world.playbook("deploy.yml", "--check", "--diff")
    assert "+listen_addresses" in output or "would be installed" in output
    for host in world.nodes():
        assert host.run("test -e /opt/image_cloud || getent passwd image-cloud")[0] != 0, host.name


def deploy(world: World) -> None:
    """Four bare hosts to four nodes and a load balancer."""
    world.playbook("deploy.yml")
    for host in world.nodes():
        assert world.recap[host.name]["failed"] == 0
        assert "RUNNING" in host.sh("supervisorctl status image-cloud-front")


def serve(world: World) -> None:
    """Each node and the load balancer answer with a thumbnail of a picture from elsewhere."""
    with origin() as shop:
        for number, client in enumerate(
            [node(world, host) for host in world.nodes()] + [balancer(world)]
        ):
            answer = client.thumbnail(shop.serve(f"/serve-{number}.jpg", picture(number)))
            assert answer.status == 200, answer.body
            assert Image.open(io.BytesIO(answer.body)).format == "JPEG"


def clone(world: World) -> None:
    """What one node downloaded, the others have; what ic00 deletes is gone everywhere."""
    ic00, *others = [node(world, host) for host in world.nodes()]
    with origin() as shop:
        url = shop.serve("/clone.jpg", picture(7))
        assert others[-1].ask("/get_image", url=url).status == 200
        for client in (ic00, *others):
            until("the picture is cloned", functools.partial(has, client, url))
        assert shop.count("/clone.jpg") == 1
        assert others[0].ask("/delete_image", "DELETE", url=url).status == 403
        assert balancer(world).ask("/delete_image", "DELETE", url=url).status == 200
        for client in (ic00, *others):
            until("the picture is gone", functools.partial(lacks, client, url))


def again(world: World) -> None:
    """A second run changes nothing, and a check says so."""
    for arguments in ((), ("--check", "--diff")):
        world.playbook("deploy.yml", *arguments)
        assert {counts["changed"] for counts in world.recap.values()} == {0}, world.recap


def limit(world: World) -> None:
    """`-l ic01` touches ic01 alone."""
    world.playbook("deploy.yml", "-l", "ic01")
    assert set(world.recap) == {"ic01"}


STAGES: dict[str, Callable[[World], None]] = {
    stage.__name__: stage for stage in (check_bare, deploy, serve, clone, again, limit)
}


# What stages are made of ------------------------------------------------------------------------


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
    """Say whether a node has the original of `url` on its disk."""
    return client.ask("/get_image", url=url, only_send_if_local="true").status == 200


def lacks(client: Client, url: str) -> bool:
    """Say whether it has not."""
    return not has(client, url)
