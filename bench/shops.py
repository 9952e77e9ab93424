"""An nginx that is 50 shops, each at an address of its own, and takes its time over each answer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from bench import procs
from bench.systems import NGINX
from tests.stack.running import free_port

SHOPS = 50
MODULES = "/usr/lib/nginx/modules"
CONF = """
load_module {modules}/ndk_http_module.so; load_module {modules}/ngx_http_lua_module.so;
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 100000; keepalive_timeout 60s; sendfile on;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{
        {listen}
        root {folder};
        location / {{
            default_type image/jpeg;
            access_by_lua_block {{ ngx.sleep({delay_s}) }}
            try_files /a.jpg =404;
        }}
    }}
}}
"""


@contextlib.contextmanager
def shops(folder: Path, picture: bytes, delay_s: float) -> Iterator[tuple[list[str], int]]:
    """Run them on 127.0.2.1 and so on; give their addresses and nginx's process id.

    Each answers every path with `picture`, `delay_s` after it was asked.
    """
    port = free_port()
    addresses = [f"127.0.2.{number}:{port}" for number in range(1, SHOPS + 1)]
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    (folder / "a.jpg").write_bytes(picture)
    listen = f"listen 127.0.0.1:{port}; " + " ".join(
        f"listen {address} backlog=4096;" for address in addresses
    )
    conf = folder / "conf"
    conf.write_text(CONF.format(modules=MODULES, folder=folder, listen=listen, delay_s=delay_s))
    command = [NGINX, "-e", "stderr", "-c", str(conf)]
    with procs.started(command, port, folder / "log") as pid:
        yield addresses, pid
