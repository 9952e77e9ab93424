"""What is tried, in order; each stage goes on from where the one before left the hosts."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable

from PIL import Image

from tests.deploy import shared_stages
from tests.deploy.hosts import until
from tests.deploy.parts import (
    balancer,
    has,
    lacks,
    node,
    origin,
    picture,
    succeeds,
    under_load,
    version,
)
from tests.deploy.world import NAMES, World

HASTY = ("-e", "image_cloud_health_timeout=20")  # where it is known to fail


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


def exporters(world: World) -> None:
    """Prometheus gets a host's and its PostgreSQL's metrics where the inventory asks for that."""
    ic03 = world.hosts["ic03"]
    asked = ("-e", "exporters_node=true", "-e", "exporters_postgres=true")
    world.playbook("deploy.yml", "-l", "ic03", *asked)
    for port, sample in ((9100, "node_memory_MemFree_bytes "), (9187, "pg_up 1")):
        look = f"curl -s {ic03.url('/metrics', port)} | grep -F '{sample}'"
        until(f"{sample} is exported", functools.partial(succeeds, ic03, look))
    world.playbook("deploy.yml", "-l", "ic03", *asked)
    assert world.recap["ic03"]["changed"] == 0, world.recap


def upgrade(world: World) -> None:
    """A rolling upgrade under a constant load of hits and misses fails no request."""
    with under_load(world):
        world.playbook("deploy.yml", release="newer")
    for host in world.nodes():
        assert version(host).startswith("9."), host.name


def broken_release(world: World) -> None:
    """A release that cannot be loaded stops at the first host before anything there is touched."""
    before = [version(host) for host in world.nodes()]
    with under_load(world):
        world.playbook("deploy.yml", *HASTY, release="broken", expect=2)
    assert set(world.recap) == {"ic00"}
    assert [version(host) for host in world.nodes()] == before


def ailing_release(world: World) -> None:
    """A release that makes no thumbnail stops at the first host, whose nginx is stopped: others answer."""
    before = [version(host) for host in world.nodes()]
    output = world.playbook("deploy.yml", *HASTY, release="ailing", expect=2)
    assert "does not serve release" in output
    assert set(world.recap) == {"ic00"}, "later hosts are untouched"
    assert [version(host) for host in world.nodes()[1:]] == before[1:]
    with under_load(world):
        assert world.hosts["ic00"].run("systemctl is-active nginx")[0] != 0


def rollback(world: World) -> None:
    """The host goes back to the release before; those that never left it are passed over."""
    with under_load(world):
        world.playbook("rollback.yml", release="newer")
    assert len({version(host) for host in world.nodes()}) == 1
    assert node(world, world.nodes()[0]).ask("/ready").status == 200
    assert [world.recap[host.name]["changed"] > 0 for host in world.nodes()] == [
        True,
        False,
        False,
        False,
    ]


def broken_host(world: World) -> None:
    """A host that cannot take a release stops the playbook there: later hosts stay as they are."""
    ic01 = world.hosts["ic01"]
    before = [version(host) for host in world.nodes()]
    ic01.sh("mv /usr/bin/setpriv /usr/bin/setpriv.away")
    try:
        with under_load(world):
            world.playbook(
                "deploy.yml", "-e", "image_cloud_health_timeout=20", release="now", expect=2
            )
        assert version(world.hosts["ic00"]) != before[0]
        assert [version(host) for host in world.nodes()[2:]] == before[2:]
    finally:
        ic01.sh("mv /usr/bin/setpriv.away /usr/bin/setpriv")
    world.playbook("deploy.yml", release="newer")


def reboot(world: World) -> None:
    """A host that restarts serves again by itself, whichever of its services comes first."""
    ic02 = world.hosts["ic02"]
    with under_load(world):
        ic02.reboot()
        until("ic02 serves again", lambda: ic02.run("image-cloud health", timeout_s=20)[0] == 0)
    ic02.sh("systemctl stop image-cloud postgresql@15-image_cloud")
    ic02.sh("systemctl start nginx image-cloud")
    ic02.sh("systemctl start postgresql@15-image_cloud")
    until("ic02 is well", lambda: ic02.run("image-cloud health", timeout_s=20)[0] == 0)


def add_node(world: World) -> None:
    """A fifth node fills itself from the others before it gets traffic."""
    ic00, ic04 = world.hosts["ic00"], world.hosts["ic04"]
    with origin() as shop:
        url = shop.serve("/before-ic04.jpg", picture(11))
        assert node(world, ic00).ask("/get_image", url=url).status == 200
    world.write_inventory((*NAMES[:4], "ic04"))
    world.playbook("add_node.yml", "-e", "node=ic04", release="newer")
    assert has(node(world, ic04), url)
    assert ic04.address in ic00.sh("cat /etc/image-cloud-loadbalancer/nginx.conf")
    assert "ic04" in ic00.sh("cat /var/lib/image-cloud/image_cloud.ini")


def remove_node(world: World) -> None:
    """What only the node that goes has, the others have cloned before it stops."""
    ic00, ic04 = world.hosts["ic00"], world.hosts["ic04"]
    with origin() as shop:
        url = shop.serve("/only-ic04.jpg", picture(12))
        assert node(world, ic04).ask("/get_image", url=url).status == 200
    with under_load(world):
        world.playbook("remove_node.yml", "-e", "node=ic04", release="newer")
    assert has(node(world, ic00), url)
    assert ic04.address not in ic00.sh("cat /etc/image-cloud-loadbalancer/nginx.conf")
    assert "ic04" not in ic00.sh("cat /var/lib/image-cloud/image_cloud.ini")
    assert ic04.run("systemctl is-active image-cloud")[0] != 0
    world.write_inventory()


def backup_node(world: World) -> None:
    """A node for backup clones everything and takes no traffic."""
    ic00, ic04 = world.hosts["ic00"], world.hosts["ic04"]
    world.write_inventory(backup="ic04")
    world.playbook("add_node.yml", "-e", "node=ic04", release="newer")
    with origin() as shop:
        url = shop.serve("/for-backup.jpg", picture(13))
        assert node(world, ic00).ask("/get_image", url=url).status == 200
        until("the backup node has it, too", lambda: has(node(world, ic04), url))
    assert ic04.address not in ic00.sh("cat /etc/image-cloud-loadbalancer/nginx.conf")


def backup(world: World) -> None:
    """A dump brings back a database that was lost."""
    ic03 = world.hosts["ic03"]
    count = "cd /; runuser -u postgres -- psql -XAtq -p 5436 image_cloud -c 'select count(*) from images'"
    before = int(ic03.sh(count))
    fetched = world.folder / "dumps"
    world.playbook(
        "backup.yml", "-l", "ic03", "-e", f"postgresql_backup_fetch_to={fetched}", release="newer"
    )
    assert list(fetched.glob("ic03/*.dump"))
    ic03.sh("runuser -u postgres -- psql -Xq -p 5436 image_cloud -c 'drop table images cascade'")
    world.playbook("restore.yml", "-l", "ic03", release="newer")
    assert int(ic03.sh(count)) >= before > 0


STAGES: dict[str, Callable[[World], None]] = {
    stage.__name__: stage
    for stage in (
        check_bare, deploy, serve, clone, again, limit, exporters, upgrade, broken_release, ailing_release,
        rollback, broken_host, reboot, add_node, remove_node, backup_node, backup, *shared_stages.STAGES,
    )
}  # fmt: skip
