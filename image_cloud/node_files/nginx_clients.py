"""What node.conf says of clients: how much one may ask, how slow it may be, and TLS."""

from __future__ import annotations

from collections.abc import Iterator

from image_cloud.config.sections import Clients

# 10 MB hold about 80,000 keys; when it is full, nginx forgets the oldest.
ZONE = "10m"
# Mozilla's intermediate list (https://wiki.mozilla.org/Security/Server_Side_TLS): forward secrecy, AEAD.
CIPHERS = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)

LIMITED = """\
# Whom the limits hold for.
geo $image_cloud_limited {{
    default 1;
{unlimited}
}}
"""
COUNTED = """\
# What has an empty key is not counted.
map "$image_cloud_limited$uri" $image_cloud_counted {
    default  1;
    "~^0"    0;
    1/health 0;
    1/ready  0;
}
# A token counts by itself once the front pool let it read: else a client could make tokens up.
map "$image_cloud_counted:$image_cloud_client" $image_cloud_by_token {
    "~^1:(?<image_cloud_who>.+)$" $image_cloud_who;
    default "";
}
map "$image_cloud_counted:$image_cloud_client" $image_cloud_by_address {
    "1:" $binary_remote_addr;
    default "";
}
map $image_cloud_counted $image_cloud_connection {
    1 $binary_remote_addr;
    default "";
}
"""


def around_the_server(clients: Clients) -> str:
    """Return what stands before the server block: who is counted, and where."""
    unlimited = "\n".join(f"    {network} 0;" for network in clients.unlimited)
    limited = LIMITED.format(unlimited=unlimited)
    if not _limits(clients):
        return limited
    zones = [
        f"limit_req_zone ${key} zone={key}:{ZONE} rate={rate}r/s;\n"
        for key, rate, _ in _rates(clients)
    ]
    if clients.connections:
        zones.append(
            f"limit_conn_zone $image_cloud_connection zone=image_cloud_connection:{ZONE};\n"
        )
    return limited + COUNTED + "".join(zones)


def in_the_server(clients: Clients) -> str:
    """Return what stands in the server block, each line indented by four blanks."""
    return "".join(f"    {line};\n" for line in _lines(clients))


def _lines(clients: Clients) -> Iterator[str]:
    yield f"client_header_timeout {_ms(clients.header_timeout)}"
    yield f"client_body_timeout {_ms(clients.body_timeout)}"
    yield f"send_timeout {_ms(clients.send_timeout)}"
    yield f"keepalive_timeout {_ms(clients.keepalive)}"
    if clients.trusted_proxies:
        yield from (f"set_real_ip_from {network}" for network in clients.trusted_proxies)
        yield "real_ip_header X-Forwarded-For"
        yield "real_ip_recursive on"
    if clients.tls_listen:
        yield from _tls(clients)
    if _limits(clients):
        yield from _limiting(clients)


def _tls(clients: Clients) -> Iterator[str]:
    yield f"listen {clients.tls_listen} ssl http2 backlog=4096"
    yield f"ssl_certificate {clients.tls_certificate}"
    yield f"ssl_certificate_key {clients.tls_key}"
    yield "ssl_protocols TLSv1.2 TLSv1.3"
    yield f"ssl_ciphers {CIPHERS}"
    yield "ssl_prefer_server_ciphers off"
    # Sessions in memory instead of tickets, whose key nginx would keep for as long as it runs.
    yield "ssl_session_cache shared:image_cloud_tls:10m"
    yield "ssl_session_timeout 1d"
    yield "ssl_session_tickets off"


def _limiting(clients: Clients) -> Iterator[str]:
    # Here, not in the shared files: without limits a hit must not pay for it.
    yield "set_by_lua $image_cloud_client 'return hot_path.client()'"
    for key, _, burst in _rates(clients):
        yield f"limit_req zone={key} burst={burst} nodelay" if burst else f"limit_req zone={key}"
    if clients.connections:
        yield f"limit_conn image_cloud_connection {clients.connections}"
    yield "limit_req_status 429"
    yield "limit_conn_status 429"


def _rates(clients: Clients) -> list[tuple[str, int, int]]:
    """Return key, rate and burst of each limit that is set."""
    rates = [
        ("image_cloud_by_token", clients.rate, clients.burst),
        ("image_cloud_by_address", clients.rate_without_token, clients.burst_without_token),
    ]
    return [row for row in rates if row[1]]


def _limits(clients: Clients) -> bool:
    return bool(_rates(clients) or clients.connections)


def _ms(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
