"""The one generated nginx file, `node.conf`: all in which one node's nginx differs from another's.

Everything else stands in `nginx/`, the same for every node.
"""

from __future__ import annotations

from image_cloud.config import Config
from image_cloud.sockets import POOLS, socket_path

TEMPLATE = """\
# Generated from image_cloud.ini; changes here are lost.

# No failure counting: there is one server each, and a pool that restarts is back in a moment.
upstream image_cloud_front {{
    server unix:{front} max_fails=0;
    keepalive 64;
}}
# A full pool answers 503 at once: max_conns counts what runs and what waits (over all workers: zone).
upstream image_cloud_fetch {{
    zone image_cloud_fetch 128k;
    server unix:{fetch} max_fails=0 max_conns={fetch_queue};
}}
upstream image_cloud_intake {{
    zone image_cloud_intake 128k;
    server unix:{intake} max_fails=0 max_conns={intake_queue};
}}
upstream image_cloud_resize {{
    zone image_cloud_resize 128k;
    server unix:{resize} max_fails=0 max_conns={resize_queue};
}}

map "" $image_cloud_storage {{
    default "{storage}";
}}
map "" $image_cloud_cache_control {{
    default "{cache_control}";
}}

server {{
    listen {listen} backlog=4096;
    include sites/image_cloud.conf;
}}
"""


def render_node(config: Config) -> str:
    """Return the text of `node.conf`; the values' forms (config/sections.py) keep it well-formed."""
    return TEMPLATE.format(
        **{pool: socket_path(config.node.run, pool) for pool in POOLS},
        listen=config.node.listen,
        storage=config.storage.path,
        cache_control=config.http.cache_control,
        fetch_queue=config.pools.fetch_queue,
        intake_queue=config.pools.intake_queue,
        resize_queue=config.pools.resize_queue,
    )
