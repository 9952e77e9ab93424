"""What is generated for nginx, `node.conf` and `cors.conf`: all in which one node differs from another.

Everything else stands in `nginx/`, the same for every node.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from image_cloud.config import Config
from image_cloud.config.sections import Resize
from image_cloud.node_files import nginx_clients
from image_cloud.node_files.nginx_ids import request_ids
from image_cloud.picture.formats import FORMATS
from image_cloud.picture.variant import EXTENSIONS
from image_cloud.process.sockets import POOLS, socket_path
from image_cloud.request.params import thumbnail_base
from image_cloud.storage.local import lease

SHARED_CACHES = ("public", "private", "proxy-revalidate", "")
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
    # Idle connections do not count for max_conns.  Where one breaks nginx asks once more, whatever
    # proxy_next_upstream says: safe here, as the pool looks at the disk first.
    keepalive 64;
}}
# The same pool, for what it makes of originals that are here: these requests wait for no download's place.
upstream image_cloud_variants {{
    zone image_cloud_variants 128k;
    server unix:{fetch} max_fails=0 max_conns={variants};
    keepalive 64;
}}
# And once more, for what it reads of a storage that several nodes share.
upstream image_cloud_originals {{
    zone image_cloud_originals 128k;
    server unix:{fetch} max_fails=0 max_conns={originals};
    keepalive 64;
}}
# One pool, and a way of its own for each: many of one kind keep none of another out.
upstream image_cloud_batches {{
    zone image_cloud_batches 128k;
    server unix:{control} max_fails=0 max_conns={batch_queue};
}}
upstream image_cloud_deletes {{
    zone image_cloud_deletes 128k;
    server unix:{control} max_fails=0 max_conns={delete_queue};
}}
upstream image_cloud_feed {{
    zone image_cloud_feed 128k;
    server unix:{control} max_fails=0 max_conns={feed_queue};
}}
upstream image_cloud_streams {{
    zone image_cloud_streams 128k;
    server unix:{control} max_fails=0 max_conns={stream_queue};
}}
upstream image_cloud_status {{
    zone image_cloud_status 128k;
    server unix:{control} max_fails=0 max_conns={status_queue};
}}
upstream image_cloud_pages {{
    zone image_cloud_pages 128k;
    server unix:{control} max_fails=0 max_conns={pages_queue};
}}

map "" $image_cloud_storage {{
    default "{storage}";
}}
map "" $image_cloud_variants {{
    default "{local}";
}}
map "" $image_cloud_cache_control {{
    default "{cache_control}";
}}
map "" $image_cloud_private_cache_control {{
    default "{private_cache_control}";
}}

{cors}
{old_pictures}# What nginx must know to name a stored variant (nginx/lua/hot_path.lua).
init_by_lua_block {{
    fallback, hot_path = require("fallback"), require("hot_path")
    hot_path.configure({{
        thumbnails = {{
{thumbnails}
        }},
        thumbnail_size = "{thumbnail_size}",
        max_side = {max_side},
        quality = "{quality}",
        format = "{format}",
        thumbnail_format = "{thumbnail_format}",
        auto_formats = {{ {auto_formats} }},
        types = {{ {types} }},
        vary = {vary},
        vary_by_accept = "{vary_by_accept}",
        verdict_s = {verdict_s:g},
        least_age = {least_age:g},
        refresh_after = {refresh_after},
        storage = "{storage}",
        fallback_status = {fallback_status},
        variants = "{local}",
        is_shared = {is_shared},
        lease = {lease},
        lease_s = {lease_s:g},
        extensions = {{ {extensions} }},
    }})
{configure_old}    request_body = require("request_body")
    request_body.configure({{
        seconds = {body_seconds:g},
        most = {bodies},
        most_of_one = {bodies_per_address},
    }})
}}

{request_ids}{clients_around}server {{
    listen {listen} backlog=4096;
{clients_in}{shared_originals}    include sites/image_cloud.conf;
}}
"""


ANY_ORIGIN = "*"
CORS = """\
# Whose scripts may read answers in a browser; an empty value sends no header (cors.conf).
map $http_origin $image_cloud_cors_origin {{
{origins}
}}
map "" $image_cloud_vary_plain {{
    default "{plain}";
}}
map "" $image_cloud_vary_by_accept {{
    default "{by_accept}";
}}
"""


CORS_HEADERS = """\
# Generated from image_cloud.ini: what scripts of other sites may read ([http] allow_origins).
add_header Access-Control-Allow-Origin $image_cloud_cors_origin always;
add_header Access-Control-Expose-Headers $image_cloud_cors_exposed always;
add_header Timing-Allow-Origin $image_cloud_cors_origin always;
"""
NO_CORS_HEADERS = "# Generated from image_cloud.ini: [http] allow_origins is empty.\n"

OLD_PICTURES = """\
# Pictures that are sent and old wait here for the control pool.
lua_shared_dict image_cloud_old 8m;
init_worker_by_lua_block {
    old_pictures.start()
}

"""
CONFIGURE_OLD = """\
    old_pictures = require("old_pictures")
    old_pictures.configure({{ socket = "{socket}", again_s = {again_s:g} }})
"""
SHARED_ORIGINALS = "    include snippets/shared_originals.conf;\n"
NOTED_AGAIN_S = 60.0
"""A picture that is sent and old is noted once in this time, or less where pictures are old earlier."""


def render_node(config: Config) -> str:
    """Return the text of `node.conf`; the values' forms (config/sections.py) keep it well-formed."""
    return TEMPLATE.format(
        **{pool: socket_path(config.node.run, pool) for pool in POOLS},
        run=config.node.run,
        listen=config.node.listen,
        **_hot_path(config),
        **_old_pictures(config),
        cors=_cors(config.http.allow_origins),
        request_ids=request_ids(config.clients),
        clients_around=nginx_clients.around_the_server(config.clients),
        body_seconds=config.clients.body_total_timeout,
        bodies=config.clients.bodies,
        bodies_per_address=config.clients.bodies_per_address,
        clients_in=nginx_clients.in_the_server(config.clients),
        storage=config.storage.path,
        local=config.storage.local,
        **_shared(config),
        cache_control=config.http.cache_control,
        private_cache_control=_private(config.http.cache_control),
        fetch_queue=config.pools.fetch_queue,
        batch_queue=config.pools.batch_queue,
        delete_queue=config.pools.delete_queue,
        stream_queue=config.pools.stream_queue,
        status_queue=config.pools.status_queue,
        feed_queue=config.pools.feed_queue,
        pages_queue=config.pools.pages_queue,
        variants=config.pools.resize_queue + config.pools.resize_workers,
    )


def render_cors(config: Config) -> str:
    """Return the text of `cors.conf`: without the option, it costs hits nothing."""
    return CORS_HEADERS if config.http.allow_origins else NO_CORS_HEADERS


def _private(cache_control: str) -> str:
    """Return the value for a picture that only its client's own cache may keep."""
    parts = [part.strip() for part in cache_control.split(",")]
    kept = [
        part
        for part in parts
        if part.lower() not in SHARED_CACHES and not part.lower().startswith("s-maxage")
    ]
    return ", ".join(["private", *kept])


def _cors(allowed: Sequence[str]) -> str:
    """Return the maps that say which origins' scripts may read answers: `*` is any."""
    is_any = ANY_ORIGIN in allowed
    lines = [f'    default "{ANY_ORIGIN if is_any else ""}";']
    if not is_any:
        lines += [f'    "{one}" "{one}";' for one in dict.fromkeys(allowed)]
    plain = _vary(allowed)
    by_accept = ", ".join(["Accept", plain] if plain else ["Accept"])
    return CORS.format(origins="\n".join(lines), plain=plain, by_accept=by_accept)


def _vary(allowed: Sequence[str]) -> str:
    """Return what every answer depends on."""
    return "Origin" if allowed and ANY_ORIGIN not in allowed else ""


def _old_pictures(config: Config) -> dict[str, str]:
    """Return what there is only where [refresh] after is set."""
    after_s = config.refresh.after
    if not after_s:
        return {"old_pictures": "", "configure_old": ""}
    again_s = min(NOTED_AGAIN_S, max(1.0, after_s))
    socket = socket_path(config.node.run, "control")
    return {
        "old_pictures": OLD_PICTURES,
        "configure_old": CONFIGURE_OLD.format(socket=socket, again_s=again_s),
    }


def _shared(config: Config) -> dict[str, object]:
    """Return what is known of a storage that other nodes use, too."""
    is_shared, local = config.cluster.shared_storage, config.storage.local
    has_lease = is_shared and local != config.storage.path
    return {
        "is_shared": "true" if is_shared else "false",
        "lease": f'"{local}/{lease.NAME}"' if has_lease else "nil",
        "lease_s": lease.LASTS_S,
        "originals": config.pools.fetch_queue,
        "shared_originals": SHARED_ORIGINALS if is_shared else "",
    }


def _thumbnails(resize: Resize) -> Iterator[str]:
    """Yield lines of the table from the size that is asked for to the file's name, but for its extension."""
    for size in resize.thumbnail_sizes:
        yield f'            ["{size}"] = "{thumbnail_base(size, resize)}",'


def _hot_path(config: Config) -> dict[str, object]:
    resize, vary = config.resize, _vary(config.http.allow_origins)
    return {
        "vary": f'"{vary}"' if vary else "nil",
        "vary_by_accept": f"Accept, {vary}" if vary else "Accept",
        "thumbnails": "\n".join(_thumbnails(resize)),
        "thumbnail_size": resize.thumbnail_size,
        "max_side": resize.max_side,
        "quality": resize.quality,
        "format": resize.format_when_resize,
        "thumbnail_format": resize.thumbnail_format,
        "auto_formats": ", ".join(f'"{EXTENSIONS[name]}"' for name in resize.auto_formats),
        "types": ", ".join(f'{one.extension} = "{one.mime}"' for one in FORMATS.values()),
        "verdict_s": config.tokens.verdict_keep,
        "least_age": config.refresh.least_age,
        "refresh_after": f"{config.refresh.after:g}" if config.refresh.after else "nil",
        "fallback_status": config.http.fallback_status,
        "extensions": ", ".join(f'"{extension}"' for extension in EXTENSIONS.values()),
    }
