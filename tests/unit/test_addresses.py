"""Which addresses may be dialled: every form that an address comes in."""

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_cloud.origin.addresses import is_allowed

REFUSED_IPV4 = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200",
    "100.127.255.255", "127.0.0.1", "127.255.255.254", "169.254.0.1", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.170", "192.0.2.1", "192.88.99.1",
    "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16",
]  # fmt: skip
PUBLIC_IPV4 = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
    "126.255.255.255", "128.0.0.1", "172.15.255.255", "172.32.0.0", "192.0.1.1", "192.167.0.1",
    "192.169.0.1", "198.17.255.255", "198.20.0.0", "223.255.255.255", "168.63.129.17",
]  # fmt: skip
REFUSED_IPV6 = [
    "::", "::1", "::2", "100::1", "fc00::1", "fd00:ec2::254", "fe80::1", "febf::1", "fec0::1",
    "feff::1", "ff02::1", "ff0e::1", "2001::1", "2001:2::1", "2001:10::1", "2001:20::1",
    "2001:db8::1", "2002::1", "3fff::1", "3fff:fff::1", "4000::1", "5f00::1", "64:ff9b:1::1",
    "64:ff9b:1::808:808", "64:ff9b:2::808:808", "fe80::1%eth0", "2606:4700:4700::1111%eth0",
    "::ffff:0:8.8.8.8", "::8.8.8.8", "e000::1",
]  # fmt: skip
PUBLIC_IPV6 = [
    "2606:4700:4700::1111",
    "2a00:1450:4001:82a::200e",
    "2001:4860:4860::8888",
    "2400::1",
]
NOT_ADDRESSES = [
    "",
    "localhost",
    "127.1",
    "0x7f.0.0.1",
    "2130706433",
    "127.0.0.1/8",
    "[::1]",
    " ::1",
]


def embedded(address: str) -> dict[str, str]:
    """Return the IPv6 addresses that lead, or led, to an IPv4 address, by the form's name."""
    value = int(ipaddress.IPv4Address(address))
    high, low = value >> 16, value & 0xFFFF
    group = f"{high:x}:{low:x}"
    return {
        "mapped": f"::ffff:{group}",
        "mapped, dotted": f"::ffff:{address}",
        "mapped, long": f"0:0:0:0:0:FFFF:{high:04X}:{low:04X}",
        "compatible": f"::{group}",
        "translated": f"::ffff:0:{group}",
        "NAT64": f"64:ff9b::{group}",
        "NAT64, local": f"64:ff9b:1::{group}",
        "NAT64, local, /48": f"64:ff9b:1:{high:x}:{low >> 8:x}:{low & 0xFF:x}00::",
        "6to4": f"2002:{group}::1",
        "Teredo": f"2001:0:4136:e378:8000:63bf:{high ^ 0xFFFF:x}:{low ^ 0xFFFF:x}",
        "Teredo server": f"2001:0:{group}:8000:63bf:3fff:fdd2",
        "ISATAP": f"2606:4700::5efe:{group}",
        "ISATAP, global": f"2606:4700::200:5efe:{group}",
        "ISATAP, link-local": f"fe80::5efe:{group}",
    }


@pytest.mark.parametrize("address", REFUSED_IPV4 + REFUSED_IPV6 + NOT_ADDRESSES)
def test_refused(address: str) -> None:
    assert not is_allowed(address)


@pytest.mark.parametrize("address", PUBLIC_IPV4 + PUBLIC_IPV6)
def test_public(address: str) -> None:
    assert is_allowed(address)
    assert is_allowed(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", REFUSED_IPV4)
@pytest.mark.parametrize("form", embedded("10.0.0.1"))
def test_refused_within_ipv6(address: str, form: str) -> None:
    assert not is_allowed(embedded(address)[form])


@pytest.mark.parametrize("form", ["mapped", "mapped, dotted", "NAT64"])
def test_public_ipv4_behind_a_translator(form: str) -> None:
    assert is_allowed(embedded("8.8.8.8")[form])


PRIVATE = st.one_of(
    *(
        st.ip_addresses(network=network)
        for network in (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
            "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
        )
    )
)  # fmt: skip


@given(PRIVATE)
def test_never_allowed_if_the_embedded_ipv4_is_private(address: ipaddress.IPv4Address) -> None:
    assert not is_allowed(address)
    for form, text in embedded(str(address)).items():
        assert not is_allowed(text), form


@given(st.ip_addresses(v=4))
def test_what_python_calls_private_is_never_allowed(address: ipaddress.IPv4Address) -> None:
    assert not (is_allowed(address) and (address.is_private or address.is_multicast))


@given(st.ip_addresses(v=6))
def test_allowed_ipv6_is_global_unicast(address: ipaddress.IPv6Address) -> None:
    leads_to_ipv4 = address.ipv4_mapped or address in ipaddress.ip_network("64:ff9b::/96")
    if is_allowed(address) and not leads_to_ipv4:
        assert address in ipaddress.ip_network("2000::/3")
        assert address.is_global


def nets(*texts: str) -> list[Any]:
    return [ipaddress.ip_network(text) for text in texts]


@pytest.mark.parametrize(
    ("address", "networks", "allowed"),
    [
        ("127.0.0.1", nets("127.0.0.0/8"), True),
        ("::ffff:127.0.0.1", nets("127.0.0.0/8"), True),
        ("::ffff:127.0.0.1", nets("::ffff:127.0.0.0/104"), True),
        ("::1", nets("127.0.0.0/8"), False),
        ("::1", nets("::1/128"), True),
        ("10.0.0.1", nets("127.0.0.0/8"), False),
        ("10.0.0.1", nets("127.0.0.0/8", "10.0.0.1/32"), True),
        ("::127.0.0.1", nets("127.0.0.0/8"), False),
        ("64:ff9b::7f00:1", nets("127.0.0.0/8"), False),
        ("2002:7f00:1::", nets("127.0.0.0/8"), False),
        ("fe80::1%eth0", nets("fe80::/10"), False),
        ("127.0.0.1", nets("::/0"), False),
        ("8.8.8.8", nets("127.0.0.0/8"), True),
    ],
)
def test_allow_networks(address: str, networks: list[Any], allowed: bool) -> None:
    assert is_allowed(address, networks) is allowed
