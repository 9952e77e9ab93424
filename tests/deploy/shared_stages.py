"""Stages on nodes that share a GlusterFS volume and one PostgreSQL, from bare hosts on."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable

from tests.deploy.hosts import DISK, Host, until
from tests.deploy.parts import has, lacks, node, origin, picture, stores, succeeds
from tests.deploy.world import NAMES, World

MOUNT = "/srv/image_cloud"
STORAGE_S = (
    40.0  # GlusterFS misses a host (network.ping-timeout), and a mount that is gone is made again
)
BROKEN = "/run/systemd/system/srv-image_cloud.mount.d"
STATE = "image-cloud-database state"


def shared_deploy(world: World) -> None:
    """Four bare hosts to a replica-3 volume, a primary with its standby, and four nodes on both."""
    world.renew(
        image_cloud_storage="glusterfs",
        glusterfs_brick=f"{DISK}/brick",
        vault_postgresql_password=secrets.token_urlsafe(24),
        vault_postgresql_standby_password=secrets.token_urlsafe(24),
    )
    world.playbook("deploy.yml", "--check", "-l", "ic00")
    world.playbook("deploy.yml")
    ic00, ic01, *_ = world.nodes()
    volume = ic00.sh("gluster volume info image_cloud")
    assert "Number of Bricks: 1 x 3 = 3" in volume, volume
    assert [host.run(STATE)[1].strip() for host in (ic00, ic01)] == [
        "primary",
        "standby, streaming",
    ]
    for host in world.nodes():
        assert "fuse.glusterfs" in host.sh(f"findmnt -n -o FSTYPE {MOUNT}"), host.name


def shared_serve(world: World) -> None:
    """What one node stored, the others read from the volume; what ic00 deletes is gone everywhere."""
    ic00, *others = [node(world, host) for host in world.nodes()]
    with origin() as shop:
        url = shop.serve("/shared.jpg", picture(21))
        stored = others[0].ask("/get_image", url=url)
        assert stored.status == 200, stored.body
        for client in (ic00, *others):
            found = client.ask("/get_image", url=url, only_send_if_local="true")
            assert (found.status, found.body) == (200, stored.body)
            assert client.thumbnail(url).status == 200
        assert shop.count("/shared.jpg") == 1
        assert ic00.ask("/delete_image", "DELETE", url=url).status == 200
        for client in (ic00, *others):
            until("the picture is gone", functools.partial(lacks, client, url), 5.0)


def shared_again(world: World) -> None:
    """A second run changes nothing, and no secret stands in a process list."""
    for arguments in ((), ("--check", "--diff")):
        world.playbook("deploy.yml", *arguments)
        assert {counts["changed"] for counts in world.recap.values()} == {0}, world.recap
    variables = (world.folder / "variables.yml").read_text().splitlines()
    passwords = [line.split('"')[1] for line in variables if line.startswith("vault_postgresql")]
    for host in world.nodes():
        processes = host.sh("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '")
        assert not [password for password in passwords if password in processes], host.name


def shared_unmounted(world: World) -> None:
    """A mount whose process died comes back under a running node; without one, no node starts."""
    ic03 = world.hosts["ic03"]
    client = node(world, ic03)
    with origin() as shop:
        url = shop.serve("/unmounted.jpg", picture(22))
        assert client.ask("/get_image", url=url).status == 200
        program = ic03.sh("systemctl show -P MainPID image-cloud")
        ic03.sh(f"pkill -9 -f '[g]lusterfs .*{MOUNT}'")
        until("the mount is back", functools.partial(has, client, url), STORAGE_S)
        assert ic03.sh("systemctl show -P MainPID image-cloud") == program, "without a restart"
    ic03.sh("systemctl stop image-cloud-remount.timer image-cloud srv-image_cloud.mount")
    ic03.sh(f"mkdir {BROKEN}; printf '[Mount]\\nType=nothing\\n' >{BROKEN}/type.conf")
    ic03.sh("systemctl daemon-reload")
    ic03.sh("systemctl start --no-block image-cloud nginx")
    until(
        "its start is refused",
        lambda: "Failed" in ic03.run("journalctl -u image-cloud -n 20")[1],
    )
    assert ic03.sh(f"find {MOUNT}") == MOUNT, "nothing is written below"
    ic03.sh(f"rm -r {BROKEN}; systemctl daemon-reload; systemctl start image-cloud-remount.timer")
    until("it serves by itself", functools.partial(succeeds, ic03, "image-cloud health"))


def shared_reboot(world: World) -> None:
    """A host with a brick and the standby restarts: it serves again by itself, and what it missed heals."""
    ic01, ic02 = world.hosts["ic01"], world.hosts["ic02"]
    with origin() as shop:
        ic01.reboot()
        url = shop.serve("/rebooted.jpg", picture(23))
        until("the others store", functools.partial(stores, node(world, ic02), url))
        until("ic01 serves again", functools.partial(succeeds, ic01, "image-cloud health"), 120.0)
        assert has(node(world, ic01), url)
    until("the standby follows", lambda: ic01.run(STATE)[1].strip() == "standby, streaming")
    until("the volume is healed", functools.partial(healed, ic01), 120.0)


def shared_promote(world: World) -> None:
    """The primary's host, which has a brick as well, is away: the standby takes over; later it follows."""
    ic00, ic01, ic02, ic03 = world.nodes()
    with origin() as shop:
        before, after = (shop.serve(f"/{name}.jpg", picture(24)) for name in ("before", "after"))
        assert node(world, ic02).ask("/get_image", url=before).status == 200
        ic00.power_off()
        world.playbook("promote.yml", "-e", "node=ic01")
        assert ic01.sh(STATE) == "primary"
        for client in (node(world, ic02), node(world, ic03)):
            until("it has what was stored", functools.partial(has, client, before), STORAGE_S)
        until("it stores", functools.partial(stores, node(world, ic02), after))
        assert has(node(world, ic03), after)
        ic00.plug()
        ic00.boot()
        until("ic00 serves again", functools.partial(succeeds, ic00, "image-cloud health"), 120.0)
        assert ic00.run("systemctl is-active postgresql@15-image_cloud")[0] != 0, "replaced"
        assert has(node(world, ic00), after)
    world.playbook("standby.yml", "-e", "node=ic00")
    assert ic00.sh(STATE) == "standby, streaming"
    until("the volume is healed", functools.partial(healed, ic01), 120.0)
    world.playbook("deploy.yml")
    assert {counts["changed"] for counts in world.recap.values()} == {0}, world.recap


def shared_switch(world: World) -> None:
    """Back to the first primary while both are well: no row is lost."""
    ic00, ic01, ic02, _ = world.nodes()
    with origin() as shop:
        url = shop.serve("/switch.jpg", picture(25))
        assert node(world, ic02).ask("/get_image", url=url).status == 200
        count = (
            "runuser -u postgres -- psql -XAtq -p 5436 image_cloud -c 'select count(*) from images'"
        )
        before = int(ic01.sh(f"cd /; {count}"))
        world.playbook("promote.yml", "-e", "node=ic00")
        assert int(ic00.sh(f"cd /; {count}")) >= before > 0
        world.playbook("standby.yml", "-e", "node=ic01")
        assert [ic00.sh(STATE), ic01.sh(STATE)] == ["primary", "standby, streaming"]


def shared_mounted(world: World) -> None:
    """A fifth node mounts what it is given (`mounted`), and leaves again."""
    ic00, ic04 = world.hosts["ic00"], world.hosts["ic04"]
    given = {
        "image_cloud_storage": "mounted",
        "shared_storage_source": f"{ic00.address}:/image_cloud",
        "shared_storage_type": "glusterfs",
        "shared_storage_packages": "['glusterfs-client']",
    }
    differences = " ".join(f'{name}="{value}"' for name, value in given.items())
    world.without("image_cloud_storage")
    nodes = dict.fromkeys(NAMES[:4], "image_cloud_storage=glusterfs")
    world.write_inventory((*NAMES[:4], "ic04"), **nodes, ic04=differences)
    world.playbook("add_node.yml", "-e", "node=ic04")
    with origin() as shop:
        url = shop.serve("/mounted.jpg", picture(26))
        assert node(world, ic04).ask("/get_image", url=url).status == 200
        assert has(node(world, ic00), url)
    world.playbook("remove_node.yml", "-e", "node=ic04")
    assert ic04.address not in ic00.sh("gluster volume get image_cloud auth.allow")
    assert ic04.address not in ic00.sh("cat /etc/postgresql/15/image_cloud/pg_hba.conf")


def healed(host: Host) -> bool:
    """Say whether no brick waits for anything."""
    code, output = host.run("gluster volume heal image_cloud info")
    counts = [line for line in output.splitlines() if line.startswith("Number of entries:")]
    return code == 0 and counts == ["Number of entries: 0"] * 3


STAGES: tuple[Callable[[World], None], ...] = (
    shared_deploy, shared_serve, shared_again, shared_unmounted, shared_reboot, shared_promote,
    shared_switch, shared_mounted,
)  # fmt: skip
