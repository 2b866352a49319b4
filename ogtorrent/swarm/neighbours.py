"""Calls for neighbours (BEP 14): who fills and hears from no tracker asks its own room, by multicast.

While a tracker answers nobody calls: whom a seat meets is the tracker's to say. Who is whole only hears.
libtorrent's own local discovery is off: with it who hears announces, too, tracker or not, and to all of a
network, which may be two rooms with a narrow cable between them.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import secrets
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from ogtorrent.swarm import policy

log = logging.getLogger(__name__)

GROUP, PORT = "239.192.152.143", 6771
EVERYWHERE = "0.0.0.0"
LONGEST_CALL = 1500  # bytes
# Read at a time, every TICK seconds: whoever floods the group costs a seat no more than that.
MOST_CALLS = 512
TICK = 0.5
# Seconds without a tracker before the first call, to the second one, and between calls at last.
SILENCE, FIRST_PAUSE, LONGEST_PAUSE = 1.0, 2.0, 60.0

_MULTICAST_ALL, _PKTINFO = 49, 8  # <linux/in.h>


Endpoint = tuple[str, int]


@dataclass(frozen=True)
class Call:
    """Somebody listens for peers on `port` and wants these images; a caller knows itself by `cookie`."""

    port: int
    info_hashes: tuple[bytes, ...]
    cookie: str

    def encode(self) -> bytes:
        lines = ["BT-SEARCH * HTTP/1.1", f"Host: {GROUP}:{PORT}", f"Port: {self.port}"]
        lines += [f"Infohash: {info_hash.hex()}" for info_hash in self.info_hashes]
        return "\r\n".join([*lines, f"cookie: {self.cookie}", "", "", ""]).encode()

    @classmethod
    def decode(cls, datagram: bytes) -> Call | None:
        """What somebody sent, if it is a call."""
        first, *lines = datagram.decode("latin-1").split("\r\n")
        port, info_hashes, cookie = 0, [], ""
        for line in lines:
            name, _, value = line.partition(":")
            value = value.strip()
            match name.lower():
                case "port" if value.isascii() and value.isdecimal() and len(value) <= 5:
                    port = int(value)
                case "infohash" if len(value) == 40:
                    with contextlib.suppress(ValueError):
                        info_hashes.append(bytes.fromhex(value))
                case "cookie":
                    cookie = value
        if first != "BT-SEARCH * HTTP/1.1" or not 0 < port < 65536 or not info_hashes:
            return None
        return cls(port, tuple(info_hashes), cookie)


class Schedule:
    """When an image's seat calls: soon, and ever more seldom while nothing changes."""

    def __init__(self) -> None:
        self._next: float | None = None
        self._pause = FIRST_PAUSE

    def due(self, lost: bool, now: float) -> bool:
        """`lost`: it fills, and no tracker answers. Once due, it is due no more until a pause has passed."""
        if not lost:
            self._next, self._pause = None, FIRST_PAUSE
            return False
        if self._next is None:
            self._next = now + SILENCE
        if now < self._next:
            return False
        self._next = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        return True


class Air:
    """The multicast group on every network of this PC, or on that of one address of it."""

    def __init__(self, address: str) -> None:
        """Raises OSError."""
        self._address = address
        self._cookie = secrets.token_hex(4)
        self._in = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._in.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._in.setsockopt(socket.IPPROTO_IP, _MULTICAST_ALL, 0)
            for each in (self._in, self._out):
                each.setsockopt(socket.IPPROTO_IP, _PKTINFO, 1)
            self._in.bind((GROUP, PORT))
            self._out.bind((address, 0))
            self._join()
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        self._in.close()
        self._out.close()

    def call(self, port: int, info_hash: bytes) -> None:
        """Tell the room that here is somebody who wants an image."""
        self._join()  # also networks that have come since
        datagram = Call(port, (info_hash,), self._cookie).encode()
        for network in self._networks():
            # A network that is down, or has no multicast, is no reason not to call on the others.
            with contextlib.suppress(OSError):
                self._out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, network)
                self._out.sendto(datagram, (GROUP, PORT))

    def answer(self, caller: Endpoint, port: int, info_hash: bytes) -> None:
        """Tell who called that it may connect to us, should our connection to it not come about.

        To a seat that was off for a while libtorrent connects only after a pause of its own.
        """
        with contextlib.suppress(OSError):
            self._out.sendto(Call(port, (info_hash,), self._cookie).encode(), caller)

    def heard(self) -> Iterator[tuple[Endpoint, Call]]:
        """Other seats of the own room that have called since it was last asked, and what they want."""
        return self._received(self._in)

    def answers(self) -> Iterator[tuple[Endpoint, Call]]:
        """Likewise, who has answered."""
        return self._received(self._out)

    def _received(self, by: socket.socket) -> Iterator[tuple[Endpoint, Call]]:
        for _ in range(MOST_CALLS):
            try:
                datagram, facts, _, sender = by.recvmsg(LONGEST_CALL, socket.CMSG_SPACE(12))
            except OSError:  # there is no more, or the network has gone
                return
            call = Call.decode(datagram)
            if call is not None and call.cookie != self._cookie and self._is_near(sender[0], facts):
                yield sender, call

    def _join(self) -> None:
        for network in self._networks():
            try:
                self._in.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, network)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:  # it has joined there already
                    log.debug("no calls there: %s", error)

    def _networks(self) -> Iterator[bytes]:
        """The group on each, as an ip_mreqn: by an own address, or by the number of a card."""
        numbers = [number for number, _ in socket.if_nameindex()] if self._address == EVERYWHERE else [0]
        for number in numbers:
            yield socket.inet_aton(GROUP) + socket.inet_aton(self._address) + struct.pack("i", number)

    def _is_near(self, address: str, facts: list[tuple[int, int, bytes]]) -> bool:
        """Whether a sender is of the room in which this PC heard it; `facts` came with what was heard."""
        own = IPv4Address(self._address)
        for level, kind, data in facts:
            if self._address == EVERYWHERE and (level, kind) == (socket.IPPROTO_IP, _PKTINFO):
                own = IPv4Address(data[4:8])  # with which this PC would answer
        return policy.subnet(own) == policy.subnet(IPv4Address(address))
