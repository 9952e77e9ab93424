"""Which IP addresses may be dialled: the public ones, and what the operator allows beside them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# `ipaddress.is_global` of Python 3.11 passes 224.0.0.1, 64:ff9b::7f00:1, 2002:7f00:1::, fec0::1 and
# ::127.0.0.1, so the ranges stand here.  IANA's registries of special-purpose addresses.
_CLOSED_IPV4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this host on this network, unspecified
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host service: public in form, inside every machine there
        "169.254.0.0/16",  # link-local, clouds' metadata services
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# All else outside is loopback, local, unassigned, or holds an IPv4 address (see _inner_ipv4).
_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
_CLOSED_IPV6 = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_ISATAP_INTERFACES = (0x00005EFE, 0x02005EFE)


def is_allowed(address: str | Address, allow_networks: Iterable[Network] = ()) -> bool:
    """Return whether `address` may be dialled.

    Refused is what is not public, text that is no address, and IPv6 that reaches a refused IPv4
    address, unless one of `allow_networks` contains it.  A network of IPv4 covers the IPv4-mapped
    IPv6 form too, other forms not.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    forms = [parsed]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.scope_id is not None:
            return False
        if parsed.ipv4_mapped is not None:
            forms.append(parsed.ipv4_mapped)
    return _is_public(forms[-1]) or any(form in net for net in allow_networks for form in forms)


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _CLOSED_IPV4)
    inner = _inner_ipv4(address)
    if inner is not None and not _is_public(inner):
        return False
    if address in _NAT64:
        return True
    return address in _GLOBAL_IPV6 and not any(address in network for network in _CLOSED_IPV6)


def _inner_ipv4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that a NAT64 or ISATAP address leads to."""
    value = int(address)
    if address in _NAT64 or (value >> 32) & 0xFFFFFFFF in _ISATAP_INTERFACES:
        return ipaddress.IPv4Address(value & 0xFFFFFFFF)
    return None
