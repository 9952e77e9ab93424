"""What node.conf says of request ids: whose are taken over, and how nginx makes its own."""

from __future__ import annotations

from image_cloud.config.sections import Clients

# Cheap, and unlike any other: a connection's number is its worker's, and begins again with the worker.
OF_A_HIT = "$pid-$msec-$connection-$connection_requests"
OWN = """\
map "" $image_cloud_request_id {{
    default $request_id;
}}
map "" $image_cloud_hit_id {{
    default "{hit}";
}}
"""
GIVEN = """\
# A trusted proxy's id is taken over.
geo $realip_remote_addr $image_cloud_trusted {{
    default 0;
{trusted}
}}
map "$image_cloud_trusted:$http_x_request_id" $image_cloud_request_id {{
    "~^1:(?<image_cloud_given_id>[A-Za-z0-9._-]{{1,64}})$" $image_cloud_given_id;
    default $request_id;
}}
map "$image_cloud_trusted:$http_x_request_id" $image_cloud_hit_id {{
    "~^1:(?<image_cloud_given_id>[A-Za-z0-9._-]{{1,64}})$" $image_cloud_given_id;
    default "{hit}";
}}
"""


def request_ids(clients: Clients) -> str:
    """Return the maps of $image_cloud_request_id and, for what nginx answers alone, $image_cloud_hit_id."""
    if not clients.trusted_proxies:
        return OWN.format(hit=OF_A_HIT)
    trusted = "\n".join(f"    {network} 1;" for network in clients.trusted_proxies)
    return GIVEN.format(trusted=trusted, hit=OF_A_HIT)
