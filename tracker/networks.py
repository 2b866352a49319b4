"""Packed addresses, and what is decided by them: who may announce, who speaks for others, who sits together.

Throughout the tracker an address is its 4 or 16 bytes; an endpoint is those and two bytes of port (BEP 23,
7).
"""

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from types import MappingProxyType

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


def packed_address(text: str) -> bytes | None:
    """The bytes of an address as text, those of IPv4 if it is one in IPv6's clothes; None if it is none."""
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
    host that is known to work from there, whatever the number of its networks. (Where several trackers share
    a store, their seeds must not announce over loopback.) Who announces over loopback
    is on this host too, and loopback addresses are right for it as they are.
    """
    if not is_loopback(announcer) and is_loopback(endpoint[:-2]):
        # Through a proxy on this very host, nothing of the tracker's own address is seen.
        return None if is_loopback(reached_at) else reached_at + endpoint[-2:]
    return endpoint


@dataclass(frozen=True, slots=True)
class Listed:
    """A PC as a site's own list of its PCs has it. Without a room, it is in that of its network."""

    address: str
    name: str
    room: str = ""

    @property
    def shown(self) -> str:
        """What people call it."""
        return self.name or self.address


class Networks:
    """Which networks count as what; `rooms` are networks by which PCs sit together, with their rooms' names.

    An address is in the room that the site's list says, else in that of the first network that has it, else
    in that of its /24 or /64. The list may change while the tracker runs: `know`.
    """

    def __init__(
        self,
        announcers: Iterable[IPNetwork] = PRIVATE,
        proxies: Iterable[IPNetwork] = (),
        rooms: Mapping[IPNetwork, str] = MappingProxyType({}),
    ) -> None:
        self._announcers = _Ranges(dict.fromkeys(announcers, ""))
        self._proxies = _Ranges(dict.fromkeys(proxies, ""))
        self._rooms = _Ranges(rooms)
        self._listed: Mapping[bytes, Listed] = {}
        self._listed_rooms: Mapping[bytes, bytes] = {}
        self.listed: tuple[Listed, ...] = ()

    def know(self, pcs: Iterable[Listed]) -> None:
        """Take the site's list in place of the one before, for the next announces and the next look.

        Of several PCs at one address the last counts; what is at no address is passed over.
        """
        found = ((packed_address(pc.address), pc) for pc in pcs)
        by_address = {address: pc for address, pc in found if address is not None}
        # An announce is to find its room at once.
        self._listed_rooms = {address: pc.room.encode() for address, pc in by_address.items() if pc.room}
        self._listed = by_address
        self.listed = tuple(
            replace(pc, address=address_text(address), room=self.room_name(address))
            for address, pc in by_address.items()
        )

    def may_announce(self, address: bytes) -> bool:
        return self._announcers.find(address) is not None

    def speaks_for_others(self, address: bytes) -> bool:
        """Whether this is a trusted proxy."""
        return self._proxies.find(address) is not None

    def room_of(self, address: bytes) -> bytes:
        return self._listed_rooms.get(address) or self._rooms.find(address) or subnet(address)

    def room_name(self, address: bytes) -> str:
        """What people call the room that an address is in."""
        named = self._listed_rooms.get(address) or self._rooms.find(address)
        if named is not None:
            return named.decode()
        prefix = subnet(address)
        return f"{address_text(prefix.ljust(len(address), bytes(1)))}/{8 * len(prefix)}"

    def name_of(self, address: bytes) -> str:
        """What the site's list calls the PC at an address; empty where it does not."""
        listed = self._listed.get(address)
        return listed.name if listed is not None else ""


def subnet(address: bytes) -> bytes:
    """The /24 (IPv4) or /64 (IPv6) that stands for one room."""
    return address[:3] if len(address) == 4 else address[:8]


class _Ranges:
    """Networks as numbers: an announce asks for several."""

    def __init__(self, networks: Mapping[IPNetwork, str]) -> None:
        self._of: dict[int, list[tuple[int, int, bytes]]] = {4: [], 16: []}
        for network, name in networks.items():
            base = network.network_address
            ranges = self._of[len(base.packed)]
            ranges.append((int(network.netmask), int(base), name.encode()))

    def find(self, address: bytes) -> bytes | None:
        """The name of the first network that the address is in."""
        ranges = self._of[len(address)]
        if ranges:
            number = int.from_bytes(address)
            for mask, base, name in ranges:
                if number & mask == base:
                    return name
        return None
