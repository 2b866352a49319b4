"""Packed addresses, and what is decided by them: who may announce, who speaks for others, who sits together.

Throughout the tracker an address is its 4 or 16 bytes; an endpoint is those and two bytes of port (BEP 23,
7).
"""

import socket
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

IPNetwork = IPv4Network | IPv6Network

_MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96, an IPv4 address seen through an IPv6 socket

# Private, link-local and loopback ranges (RFC 1918, 3927, 6598, 4193, 4291).
PRIVATE = tuple(
    ip_network(network)
    for network in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)


# An IPv6 address at its longest, with the name of an interface.
_LONGEST_ADDRESS = 62


def packed_address(text: str) -> bytes | None:
    """The bytes of an address as text, those of IPv4 if it is one in IPv6's clothes; None if it is none."""
    # Anybody may send what is looked up, and so what is remembered: it is short, or memory would fill.
    return _packed(text) if len(text) <= _LONGEST_ADDRESS else None


@lru_cache(maxsize=1 << 14)
def _packed(text: str) -> bytes | None:
    text = text.partition("%")[0]
    try:
        if ":" not in text:
            return socket.inet_pton(socket.AF_INET, text)
        packed = socket.inet_pton(socket.AF_INET6, text)
    except (OSError, ValueError):
        return None
    return unmapped(packed)


def unmapped(packed: bytes) -> bytes:
    """An IPv4 address seen through an IPv6 socket as what it is; any other as it stands."""
    return packed[12:] if packed.startswith(_MAPPED) else packed


def address_text(packed: bytes) -> str:
    """An address as people write it."""
    return str(ip_address(packed))


def endpoint_text(endpoint: bytes) -> str:
    """An address and a port as people write them."""
    host = address_text(endpoint[:-2])
    port = int.from_bytes(endpoint[-2:], "big")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(packed: bytes) -> bool:
    return packed[0] == 127 if len(packed) == 4 else packed == b"\0" * 15 + b"\1"


def reachable(endpoint: bytes, announcer: bytes, reached_at: bytes) -> bytes | None:
    """The endpoint under which `announcer` reaches this one; None if nobody can tell.

    The repository's own seed announces over loopback, so all the tracker sees of it is 127.0.0.1 or ::1, an
    address that leads every other host to itself. That seed runs where the tracker runs, so it is handed
    out under the address at which this announcer has just reached the tracker: the one address of this
    host that is known to work from there, whatever the number of its networks. Who announces over loopback
    is on this host too, and loopback addresses are right for it as they are.
    """
    if is_loopback(endpoint[:-2]) and not is_loopback(announcer):
        # Through a proxy on this very host, nothing of the tracker's own address is seen.
        return None if is_loopback(reached_at) else reached_at + endpoint[-2:]
    return endpoint


class Networks:
    """Which networks count as what; the widest room that a network of `rooms` names, else a /24 or /64."""

    def __init__(
        self,
        announcers: Iterable[IPNetwork] = PRIVATE,
        proxies: Iterable[IPNetwork] = (),
        rooms: Iterable[IPNetwork] = (),
    ) -> None:
        self._announcers = tuple(announcers)
        self._proxies = tuple(proxies)
        self._rooms = tuple(rooms)
        # A seat asks again and again from one address: what it is gets looked up once.
        self.may_announce = lru_cache(maxsize=1 << 14)(self._may_announce)
        self.room_of = lru_cache(maxsize=1 << 14)(self._room_of) if self._rooms else subnet

    def speaks_for_others(self, address: bytes) -> bool:
        """Whether this is a trusted proxy."""
        return bool(self._proxies) and _find(address, self._proxies) is not None

    def _may_announce(self, address: bytes) -> bool:
        return _find(address, self._announcers) is not None

    def _room_of(self, address: bytes) -> bytes:
        room = _find(address, self._rooms)
        return str(room).encode() if room else subnet(address)


def subnet(address: bytes) -> bytes:
    """The /24 (IPv4) or /64 (IPv6) that stands for one room."""
    return address[:3] if len(address) == 4 else address[:8]


def _find(address: bytes, networks: Iterable[IPNetwork]) -> IPNetwork | None:
    seen = ip_address(address)
    return next((network for network in networks if seen in network), None)
