"""`replicas = 2`: each picture on its two owners, and on no other for long."""

from __future__ import annotations

from image_cloud.cluster.placement import Placement
from image_cloud.picture.key import key_of
from tests.cluster.nodes import NAMES, Nodes, eventually
from tests.cluster.test_cloning import new_picture
from tests.origin import Origin


def owners(url: str) -> set[str]:
    return set(Placement("ic00", NAMES, 2).owners(key_of(url)))


def holders(nodes: Nodes, url: str) -> set[str]:
    return {node.name for node in nodes if node.has(url)}


def at_home(nodes: Nodes, url: str) -> bool:
    return holders(nodes, url) == owners(url)


def test_pictures_move_to_their_owners_and_misses_ask_them(nodes: Nodes, origin: Origin) -> None:
    pictures = dict(new_picture(origin) for _ in range(6))
    for url in pictures:
        nodes["ic01"].get(url)
    eventually(lambda: all(holders(nodes, url) == set(NAMES) for url in pictures), "on all four")
    nodes.reconfigure(cluster__replicas="2", cluster__drop_after="1 s")
    try:
        for url in pictures:
            eventually(lambda u=url: at_home(nodes, u), "on its owners alone")  # type: ignore[misc]
        for url, content in pictures.items():
            stranger = nodes[min(set(NAMES) - owners(url))]
            answer = stranger.get(url)
            assert (answer.headers["X-Cache"], answer.content) == ("PEER", content)
            eventually(lambda u=url: at_home(nodes, u), "and again")  # type: ignore[misc]
        late, _ = new_picture(origin)
        nodes[min(set(NAMES) - owners(late))].get(late)
        eventually(lambda: holders(nodes, late) == owners(late), "stored at a stranger")
        _is_kept_while_an_owner_is_away(nodes, origin)
        assert set(origin.counts().values()) == {1}
        nodes["ic00"].delete(late)
        eventually(lambda: not holders(nodes, late), "deleted at its owners")
    finally:
        nodes.reconfigure()
    eventually(lambda: all(holders(nodes, url) == set(NAMES) for url in pictures), "on all again")


def _is_kept_while_an_owner_is_away(nodes: Nodes, origin: Origin) -> None:
    url, _ = new_picture(origin)
    away, stays = sorted(owners(url))
    stranger = min(set(NAMES) - owners(url))
    nodes.links.cut([away], [name for name in NAMES if name != away])
    nodes[stranger].get(url)
    eventually(lambda: nodes[stays].has(url), "one owner has it")
    before = nodes[stranger].psql("select now()").strip()
    eventually(
        lambda: (
            nodes[stranger].psql(f"select now() > '{before}'::timestamptz + interval '4 s'")
            == "t\n"
        ),
        "time for a drop to be wrong",
    )
    assert nodes[stranger].has(url)
    nodes.links.heal()
    eventually(lambda: holders(nodes, url) == owners(url), "dropped once both have it")
