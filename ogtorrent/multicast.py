"""Multicast sessions as OpenGnsys writes them (ogMcastSyntax of Protocol.lib), and who gets which.

Beside `layout`, below repository and cache: the one keeps a session in each image's `.mcast` and serves it,
the other is told one and joins it.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import AddressValueError, IPv4Address

from ogtorrent.errors import BadSession
from ogtorrent.words import words

PORT_BASES = range(9000, 9100, 2)  # udpcast takes the next port, too
MOST_CLIENTS = 1024  # that udpcast can count
LONGEST_WAIT = 24 * 3600  # seconds
# Addresses of one organisation's own (RFC 2365, 6.2), as OpenGnsys's example.
_ADDRESSES = IPv4Address("239.194.0.0")


class Method(StrEnum):
    FULL_DUPLEX = "full-duplex"
    HALF_DUPLEX = "half-duplex"
    BROADCAST = "broadcast"


@dataclass(frozen=True)
class MulticastSession:
    """Where and how an image is sent: Mbit/s, how many seats are waited for, and at most how many seconds."""

    port_base: int
    method: Method
    address: IPv4Address
    speed: int = 70
    clients: int = 50
    wait: int = 30

    @classmethod
    def parse(cls, text: str) -> MulticastSession:
        """`PORTBASE:METHOD:ADDRESS:SPEEDM:CLIENTS:WAIT`. Raises BadSession."""
        shown = text[:80]
        parts = text.split(":")
        if len(parts) != 6:
            raise BadSession(shown, words("it has {count} parts, not 6", count=len(parts)))
        port, method, address, speed, clients, wait = parts
        if not re.fullmatch("[0-9]{4}", port, re.ASCII) or int(port) not in PORT_BASES:
            raise BadSession(shown, words("its port base is none of the even ones from 9000 to 9098"))
        if method.lower() not in tuple(Method):
            raise BadSession(shown, words("its method is neither full-duplex, half-duplex nor broadcast"))
        try:
            group = IPv4Address(address)
        except AddressValueError:
            group = None
        if group is None or not group.is_multicast:
            raise BadSession(shown, words("its address is none of multicast, 224.0.0.0 to 239.255.255.255"))
        if not re.fullmatch("[0-9]{1,3}M", speed, re.ASCII) or speed.strip("0M") == "":
            raise BadSession(shown, words("its speed is not like 70M, from 1 to 999 Mbit/s"))
        return cls(
            int(port),
            Method(method.lower()),
            group,
            int(speed[:-1]),
            _number(shown, clients, 1, MOST_CLIENTS, words("clients")),
            _number(shown, wait, 0, LONGEST_WAIT, words("seconds to wait")),
        )

    def __str__(self) -> str:
        return f"{self.port_base}:{self.method}:{self.address}:{self.speed}M:{self.clients}:{self.wait}"


def _number(shown: str, text: str, least: int, most: int, what: str) -> int:
    if not re.fullmatch("[0-9]{1,10}", text, re.ASCII) or not least <= int(text) <= most:
        raise BadSession(
            shown, words("the {what} are no number from {least} to {most}", what=what, least=least, most=most)
        )
    return int(text)


def assign(image: str, taken: Collection[MulticastSession]) -> MulticastSession:
    """A session for an image beside those of the others: an address of its own, the port that fewest have.

    The same for the same image and others, so that a tree that is published anew gets what it had.
    """
    digest = hashlib.sha256(image.encode()).digest()
    addresses = {session.address for session in taken}
    place = int.from_bytes(digest[:2])
    while (place & 0xFF) in (0, 255) or _ADDRESSES + place in addresses:
        place = (place + 1) % 2**16
    first = digest[2] % len(PORT_BASES)
    used = Counter(session.port_base for session in taken)
    ports = [*PORT_BASES[first:], *PORT_BASES[:first]]
    return MulticastSession(min(ports, key=lambda port: used[port]), Method.FULL_DUPLEX, _ADDRESSES + place)


def on_free_port(session: MulticastSession, busy: Collection[int]) -> MulticastSession | None:
    """The session on a port base that no other has now; None where there is none."""
    if session.port_base not in busy:
        return session
    free = next((port for port in PORT_BASES if port not in busy), None)
    return None if free is None else replace(session, port_base=free)
