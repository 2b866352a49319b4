"""The network interfaces of this machine: its addresses, and the networks that it is in."""

from __future__ import annotations

import ipaddress
import socket

import psutil

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def own_addresses() -> frozenset[str]:
    """Of IPv4 and IPv6, loopback's too, without the name of the interface."""
    return frozenset(str(interface.ip) for interface in _interfaces())


def own_networks() -> list[Network]:
    """Many universities give their PCs public addresses."""
    return [interface.network for interface in _interfaces()]


def _interfaces() -> list[ipaddress.IPv4Interface | ipaddress.IPv6Interface]:
    return [
        ipaddress.ip_interface(f"{address.address.partition('%')[0]}/{_prefix(address.netmask)}")
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family in (socket.AF_INET, socket.AF_INET6) and address.netmask
    ]


def _prefix(netmask: str) -> int:
    """The length of a netmask; ipaddress reads only those of IPv4."""
    return int(ipaddress.ip_address(netmask)).bit_count()
