"""The one generated nginx file, `node.conf`: all in which one node's nginx differs from another's.

Everything else stands in `nginx/`, the same for every node.
"""

from __future__ import annotations

from collections.abc import Iterator

from image_cloud.config import Config
from image_cloud.config.sections import Resize
from image_cloud.params import thumbnail_recipe
from image_cloud.recipe import EXTENSIONS
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

# Verdicts on tokens (nginx/sites/image_cloud.conf).
proxy_cache_path {run}/nginx/temp/verdicts keys_zone=image_cloud_verdicts:4m max_size=64m inactive=60s
    use_temp_path=off;

# What nginx must know to name a stored variant (nginx/maps/hot_path.conf).
map "$image_cloud_readable $arg_size" $image_cloud_thumbnail {{
{thumbnails}
    default -;
}}
map "" $image_cloud_default_quality {{
    default {quality};
}}
map "" $image_cloud_default_extension {{
    default {extension};
}}
map $arg_resize_width $image_cloud_width {{
    "" 0;
    "~^(?:{sides})$" $arg_resize_width;
    default -;
}}
map $arg_resize_height $image_cloud_height {{
    "" 0;
    "~^(?:{sides})$" $arg_resize_height;
    default -;
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
        run=config.node.run,
        listen=config.node.listen,
        **_hot_path(config.resize),
        storage=config.storage.path,
        cache_control=config.http.cache_control,
        fetch_queue=config.pools.fetch_queue,
        intake_queue=config.pools.intake_queue,
        resize_queue=config.pools.resize_queue,
    )


def up_to(most: int) -> str:
    """Return a regular expression for the whole numbers 1 to `most`, without leading zeros."""
    digits = str(most)
    patterns = [f"[1-9][0-9]{{{length}}}" for length in range(len(digits) - 1)]
    for place, digit in enumerate(digits):
        low = 1 if place == 0 else 0
        if int(digit) > low:
            rest = len(digits) - place - 1
            patterns.append(f"{digits[:place]}[{low}-{int(digit) - 1}][0-9]{{{rest}}}")
    return "|".join([*patterns, digits])


def _thumbnails(resize: Resize) -> Iterator[str]:
    """Yield the map from what was asked (`GET 200`, or `GET ` for the default) to the file's name."""
    for method in ("GET", "HEAD"):
        for size in resize.thumbnail_sizes:
            yield f'    "{method} {size}" {thumbnail_recipe(size, resize).name};'
        yield f'    "{method} " {thumbnail_recipe(resize.thumbnail_size, resize).name};'


def _hot_path(resize: Resize) -> dict[str, object]:
    return {
        "thumbnails": "\n".join(_thumbnails(resize)),
        "quality": resize.quality,
        "extension": EXTENSIONS[resize.format_when_resize],
        "sides": up_to(resize.max_side),
    }
