"""Announce and scrape over UDP (BEP 15): datagrams in, datagrams out."""

import asyncio
import logging
import socket
import struct
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from tracker.networks import address_text, packed_address, unmapped
from tracker.request import BadRequestError, InfoHash, RefusalError
from tracker.swarm.peer import Tally
from tracker.swarm.store import StoreDownError
from tracker.tracker import Tracker, without_waiting
from tracker.udp import packet
from tracker.udp.connection import ConnectionIds

log = logging.getLogger(__name__)

# Datagrams that are answered before the loop may do something else.
_BATCH = 64
# Longer than any request is: an announce with options, or a scrape of 74.
_LARGEST = 2048
# Requests that wait for a look at the folder or for the store.
_MOST_WAITING = 1000
# A classroom that starts together waits here, not at the switch. Bytes.
_RECEIVE_BUFFER = 4 << 20
# socket(7): with it root gets more than net.core.rmem_max, which as it comes is too little for 600 at once.
_SO_RCVBUFFORCE = 33

# struct in_pktinfo and in6_pktinfo: to which of this host's addresses a datagram came.
_PKTINFO = struct.Struct("@i4s4s")
_PKTINFO6 = struct.Struct("@16si")
_IP_PKTINFO = 8  # the socket module of Python 3.11 has only IPv6's
_ANCILLARY = socket.CMSG_SPACE(_PKTINFO6.size) + socket.CMSG_SPACE(_PKTINFO.size)

_NO_CONNECTION = "no valid connection id"
_ACTIONS = {packet.ANNOUNCE: "announce", packet.SCRAPE: "scrape"}


class UdpFrontEnd:
    """Answers what comes to one socket."""

    def __init__(self, tracker: Tracker, sock: socket.socket, secret: bytes) -> None:
        self._tracker = tracker
        self._sock = sock
        self._ids = ConnectionIds(secret)
        self._waiting: set[asyncio.Task[None]] = set()
        self._ended = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer while the block runs."""
        loop = asyncio.get_running_loop()
        sock = self._sock
        sock.setblocking(False)
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        except OSError:  # not root, or no Linux
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        loop.add_reader(sock, self._drain)
        try:
            yield
        finally:
            self._ended = True
            loop.remove_reader(sock)
            for task in self._waiting:
                task.cancel()
            await asyncio.gather(*self._waiting, return_exceptions=True)

    def _drain(self) -> None:
        for _ in range(_BATCH):
            if len(self._waiting) >= _MOST_WAITING:
                # A crowd waits in the socket's buffer.
                asyncio.get_running_loop().remove_reader(self._sock)
                return
            try:
                data, ancillary, _, name = self._sock.recvmsg(_LARGEST, _ANCILLARY)
            except BlockingIOError:
                return
            except OSError as error:  # what an earlier answer ran into
                log.debug("a datagram could not be delivered: %s", error)
                continue
            try:
                self._received(data, ancillary, name)
            except Exception:
                log.exception("internal error at a datagram from %s", name[0])

    def _received(self, data: bytes, ancillary: list[tuple[int, int, bytes]], name: tuple[str, int]) -> None:
        address = packed_address(name[0])
        if address is None or len(data) < packet.HEADER.size:
            return
        connection_id, action, transaction = packet.HEADER.unpack_from(data)
        asker = Asker(name, address, ancillary, transaction)
        now = self._tracker.clock()
        if action == packet.CONNECT:
            if connection_id == packet.PROTOCOL_ID:
                self._send(packet.connect_reply(transaction, self._ids.make(address, now)), asker)
            return
        if action not in (packet.ANNOUNCE, packet.SCRAPE):
            return
        if not self._ids.is_valid(connection_id, address, now):
            # No longer than what was asked: nobody has shown yet that it came from this address.
            self._send(packet.error_reply(transaction, _NO_CONNECTION)[: len(data)], asker)
            return
        reply = self._reply(action, data, asker)
        if self._tracker.answers_at_once(InfoHash(data[16:36]) if action == packet.ANNOUNCE else None):
            self._send(without_waiting(reply), asker)
        else:
            task = asyncio.create_task(self._reply_later(reply, asker))
            self._waiting.add(task)
            task.add_done_callback(self._answered)

    async def _reply(self, action: int, data: bytes, asker: "Asker") -> bytes:
        tracker = self._tracker
        transaction = asker.transaction
        try:
            if action == packet.SCRAPE:
                wanted = packet.parse_scrape(data)
                source = tracker.source(asker.address, asker.reached_at, None)
                tallies = await tracker.scrape(wanted, source, "udp")
                return packet.scrape_reply(transaction, [tallies.get(one, Tally()) for one in wanted])
            request = packet.parse_announce(data)
            source = tracker.source(asker.address, asker.reached_at, request.claimed)
            answer = await tracker.announce(request, source, "udp")
            return packet.announce_reply(transaction, answer, len(asker.address) + 2)
        except (BadRequestError, RefusalError) as error:
            tracker.refused("udp", _ACTIONS[action], address_text(asker.address), error)
            return packet.error_reply(transaction, str(error))
        except StoreDownError as error:
            tracker.refused("udp", _ACTIONS[action], address_text(asker.address), error)
            return packet.error_reply(transaction, error.told)
        except Exception:
            log.exception("internal error at a datagram from %s", asker.name[0])
            return packet.error_reply(transaction, "internal error")

    def _answered(self, task: asyncio.Task[None]) -> None:
        if len(self._waiting) >= _MOST_WAITING and not self._ended:
            asyncio.get_running_loop().add_reader(self._sock, self._drain)
        self._waiting.discard(task)

    async def _reply_later(self, reply: Coroutine[Any, Any, bytes], asker: "Asker") -> None:
        self._send(await reply, asker)

    def _send(self, reply: bytes, asker: "Asker") -> None:
        try:
            self._sock.sendmsg([reply], asker.from_there, 0, asker.name)
        except OSError as error:  # a full buffer, no route: the client asks again (BEP 15)
            log.debug("no answer to %s: %s", asker.name[0], error)


class Asker(NamedTuple):
    """Who sent a datagram, and to where."""

    name: tuple[str, int]
    address: bytes
    ancillary: list[tuple[int, int, bytes]]
    transaction: int

    @property
    def reached_at(self) -> bytes:
        """The address of this host that it came to."""
        for _, kind, data in self.ancillary:
            if kind == _IP_PKTINFO:
                return _PKTINFO.unpack_from(data)[2]  # type: ignore[no-any-return]
            if kind == socket.IPV6_PKTINFO:
                return unmapped(data[:16])
        return self.address

    @property
    def from_there(self) -> list[tuple[int, int, bytes]]:
        """What makes the answer leave from that address, whichever the route would choose."""
        for level, kind, data in self.ancillary:
            if kind == _IP_PKTINFO:
                _, _, reached_at = _PKTINFO.unpack_from(data)
                return [(level, kind, _PKTINFO.pack(0, reached_at, bytes(4)))]
            if kind == socket.IPV6_PKTINFO:
                return [(level, kind, data)]
        return []
