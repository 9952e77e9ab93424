"""What is compared: each system is started for itself, and says by which address a size is asked for."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from bench import procs
from tests.stack.running import CHECKOUT, Stack, free_port

CACHE = CHECKOUT / ".cache/bench"
NGINX = "/usr/sbin/nginx"
CLOUD, BARE, THUMBOR, FILTER, IPX, VIPS, PIL_LOOP, VIPS_LOOP = (
    "Image Cloud",
    "bare nginx",
    "thumbor",
    "image_filter",
    "ipx",
    "pyvips, smallest server",
    "PIL in a loop",
    "pyvips in a loop",
)

OTHER = "the other build"
"""Image Cloud of another checkout."""

# thumbor's; its quality is one for all formats, 85, and for AVIF what is the same to the eye
FILTERS = {
    "jpg": "",
    "webp": "filters:format(webp)/",
    "avif": "filters:format(avif):quality(69)/",
}


def checkout(text: str) -> Path:
    """Return the path of another build, of which `make up` and HTTP alone are used: it may be of any age."""
    folder = Path(text).resolve()
    if not (folder / "Makefile").is_file():
        raise argparse.ArgumentTypeError(f"{text} is no checkout of Image Cloud")
    return folder


class Thumbnail(Protocol):
    """The address of a picture fitted into a box; `format` is jpg, webp or avif."""

    def __call__(self, url: str, side: int, format: str = "jpg", /) -> str: ...


@dataclasses.dataclass(frozen=True)
class System:
    """A running system."""

    name: str
    thumbnail: Thumbnail
    pids: Callable[[], list[int]]
    headers: tuple[str, ...] = ()


@contextlib.contextmanager
def files(folder: Path, work: Path) -> Iterator[tuple[str, int]]:
    """Serve `folder` with a bare nginx: the origin of all, and the limit for stored pictures."""
    port = free_port()
    conf = nginx_conf(
        work / "bare", f"server {{ listen 127.0.0.1:{port} backlog=4096; root {folder}; }}"
    )
    with procs.started([NGINX, "-c", str(conf), "-e", "stderr"], port, work / "bare/log") as pid:
        yield f"http://127.0.0.1:{port}", pid


@contextlib.contextmanager
def cloud(
    home: Path, settings: str = "", checkout: Path = CHECKOUT, name: str = CLOUD
) -> Iterator[tuple[System, Stack]]:
    """Image Cloud itself, by `make up` in `checkout`."""
    allowed = "download.allow_networks=127.0.0.0/8"
    settings = f"{allowed};{settings}" if settings else allowed
    with Stack(home, settings=settings, checkout=checkout) as stack:

        def address(url: str, side: int, format: str = "jpg") -> str:
            at = f"url={quote(url, '/:')}"
            if side in (100, 200, 250, 400, 800) and format == "jpg":
                return f"{stack.url}/get_thumbnail?size={side}&{at}"
            box = f"resize_width={side}&resize_height={side}"
            other = "" if format == "jpg" else f"&format_when_resize={format}"
            return f"{stack.url}/get_image?{box}{other}&{at}"

        header = f"X-Image-Cloud-Token: {stack.token}"
        yield System(name, address, lambda: list(stack.processes()), (header,)), stack


@contextlib.contextmanager
def thumbor(work: Path) -> Iterator[System]:
    """thumbor with its file storages, a process per core."""
    port, folder = free_port(), work / "thumbor"
    folder.mkdir(parents=True)
    conf = folder / "thumbor.conf"
    conf.write_text(
        "ALLOW_UNSAFE_URL = True\nQUALITY = 85\nSECURITY_KEY = 'bench'\n"
        "STORAGE = 'thumbor.storages.file_storage'\n"
        f"FILE_STORAGE_ROOT_PATH = '{folder}/storage'\n"
        "RESULT_STORAGE = 'thumbor.result_storages.file_storage'\n"
        f"RESULT_STORAGE_FILE_STORAGE_ROOT_PATH = '{folder}/results'\n"
        "RESULT_STORAGE_STORES_UNSAFE = True\nRESULT_STORAGE_EXPIRATION_SECONDS = 0\n"
    )
    command = [str(CACHE / "venv/bin/thumbor"), "-p", str(port), "-i", "127.0.0.1", "-c", str(conf)]
    with procs.started([*command, "--processes", "2"], port, folder / "log") as pid:
        yield System(
            THUMBOR,
            lambda url, side, format="jpg": (
                f"http://127.0.0.1:{port}/unsafe/fit-in/{side}x{side}/{FILTERS[format]}{quote(url, '')}"
            ),
            lambda: procs.family(pid),
        )


@contextlib.contextmanager
def image_filter(origin: str, work: Path) -> Iterator[System]:
    """nginx's image_filter behind its proxy_cache."""
    port, behind = free_port(), free_port()
    modules = "/usr/lib/nginx/modules"
    body = f"""
    proxy_cache_path {work}/filter/cache keys_zone=filter:20m;
    server {{ listen 127.0.0.1:{port} backlog=4096;
        location / {{ proxy_pass http://127.0.0.1:{behind}; proxy_cache filter; proxy_cache_valid 1d; }} }}
    server {{ listen 127.0.0.1:{behind};
        image_filter_buffer 50m; image_filter_jpeg_quality 85;
        location ~ ^/(?<side>[0-9]+)/(?<name>.*) {{
            image_filter resize $side $side; proxy_pass {origin}/$name; }} }}"""
    conf = nginx_conf(
        work / "filter", body, f"load_module {modules}/ngx_http_image_filter_module.so;"
    )
    with procs.started([NGINX, "-c", str(conf), "-e", "stderr"], port, work / "filter/log") as pid:
        yield System(
            FILTER,
            lambda url, side, _format="jpg": (
                f"http://127.0.0.1:{port}/{side}/{url.rpartition('/')[2]}"
            ),
            lambda: procs.family(pid),
        )


@contextlib.contextmanager
def ipx(work: Path) -> Iterator[System]:
    """ipx (sharp), a process per core; it keeps nothing."""
    port = free_port()
    script = CHECKOUT / "bench/ipx.mjs"
    command = ["node", str(script), str(CACHE / "ipx"), str(port)]
    with procs.started(command, port, work / "ipx.log") as pid:
        yield System(
            IPX,
            lambda url, side, _format="jpg": (
                f"http://127.0.0.1:{port}/s_{side}x{side},fit_inside,q_85/{url}"
            ),
            lambda: procs.family(pid),
        )


@contextlib.contextmanager
def vips(work: Path) -> Iterator[System]:
    """libvips behind the smallest server, a process per core; it keeps nothing."""
    port = free_port()
    python, script = str(CACHE / "venv/bin/python"), str(CHECKOUT / "bench/vips.py")
    command = ["env", "VIPS_CONCURRENCY=1", python, script, "serve", str(port), "2"]
    with procs.started(command, port, work / "vips.log") as pid:
        yield System(
            VIPS,
            lambda url, side, format="jpg": f"http://127.0.0.1:{port}/{format}/{side}/{url}",
            lambda: procs.family(pid),
        )


def has_ipx() -> bool:
    """Say whether ipx could be installed here."""
    return (CACHE / "ipx/node_modules/ipx").exists()


def nginx_conf(folder: Path, servers: str, first: str = "") -> Path:
    """Write the configuration of a plain nginx that keeps no log; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    conf = folder / "nginx.conf"
    temp = "".join(
        f"{kind}_temp_path {folder}/{kind}; "
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    conf.write_text(
        f"{first}\ndaemon off; worker_processes 2; pid {folder}/pid; error_log stderr error;\n"
        "events { worker_connections 4096; }\n"
        "http { include /etc/nginx/mime.types; sendfile on; tcp_nopush on; keepalive_requests 100000;\n"
        f"access_log off; {temp}\n{servers}\n}}\n"
    )
    return conf
