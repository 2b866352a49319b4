"""Peers as a tracker meets them, and what they say to it: HTTP (BEP 3, 23) and UDP (BEP 15)."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote

SEATS = 30
NUMWANT = 50
# An image of 40 GB. Of 40 GiB opentracker sees the lower 32 bits only, and takes the peer for a seed.
_LEFT = 40 * 10**9

# BEP 15: a connect begins with this number instead of a connection's.
_PROTOCOL = 0x41727101980
_CONNECT, _ANNOUNCE = 0, 1
_CONNECTION = struct.Struct(">IIQ")
_CONNECTING = struct.Struct(">QII")
_ANNOUNCING = struct.Struct(">QII20s20sQQQIIIiH")
_HEAD = struct.Struct(">II")
# Where the transaction's number stands in an announce.
TRANSACTION_AT = 12
# Action, transaction, interval, leechers, seeds; six bytes a peer follow.
BARE_ANSWER = 20

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)\r\n")
_PEERS = re.compile(rb"5:peers([0-9]+):")


class Verdict(Enum):
    """What an answer is worth: a tracker that refuses everybody, or knows nobody, is fast."""

    GOOD = "good"
    EMPTY = "empty"
    REFUSED = "refused"


class EventCode(Enum):
    """What has just happened to the peer, as HTTP spells it; UDP sends its place in this list."""

    NONE = ""
    COMPLETED = "completed"
    STARTED = "started"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Announcer:
    """One peer of one swarm. Loopback answers to all of 127.0.0.0/8, so each peer has its own address."""

    info_hash: bytes
    number: int

    @property
    def address(self) -> str:
        """Its seat in its room, which is the /24."""
        room, seat = divmod(self.number, SEATS)
        return f"127.{1 + room // 256}.{room % 256}.{seat + 1}"

    @property
    def port(self) -> int:
        return 10_000 + self.number % 50_000

    @property
    def peer_id(self) -> bytes:
        return b"-LT20B0-%012d" % self.number

    def request(self, *, keep_alive: bool = False, event: EventCode = EventCode.NONE) -> bytes:
        """The HTTP request, with the parameters and headers that libtorrent sends."""
        happened = f"&event={event.value}" if event.value else ""
        target = (
            f"/announce?info_hash={quote(self.info_hash, safe='')}&peer_id={quote(self.peer_id, safe='')}"
            f"&port={self.port}&uploaded=0&downloaded=0&left={_LEFT}&corrupt=0&key={self.number:08X}{happened}"
            f"&numwant={NUMWANT}&compact=1&no_peer_id=1&supportcrypto=1&redundant=0"
        )
        connection = "keep-alive" if keep_alive else "close"
        return (
            f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: libtorrent/2.0.11\r\n"
            f"Accept-Encoding: gzip\r\nConnection: {connection}\r\n\r\n"
        ).encode()

    def datagram(
        self, connection: int, transaction: int, event: EventCode = EventCode.NONE, numwant: int = NUMWANT
    ) -> bytearray:
        return bytearray(
            _ANNOUNCING.pack(
                connection,
                _ANNOUNCE,
                transaction,
                self.info_hash,
                self.peer_id,
                0,
                _LEFT,
                0,
                list(EventCode).index(event),
                0,
                self.number,
                numwant,
                self.port,
            )
        )


def rooms(info_hashes: Sequence[bytes]) -> list[Announcer]:
    """A room full of peers for each of the torrents."""
    return [
        Announcer(info_hash, room * SEATS + seat)
        for room, info_hash in enumerate(info_hashes)
        for seat in range(SEATS)
    ]


def connecting(transaction: int) -> bytes:
    return _CONNECTING.pack(_PROTOCOL, _CONNECT, transaction)


def connection_of(answer: bytes, transaction: int) -> int | None:
    """The connection's number that a tracker gave, or None if it gave none."""
    if len(answer) < _CONNECTION.size:
        return None
    action, answered, connection = _CONNECTION.unpack_from(answer)
    return int(connection) if (action, answered) == (_CONNECT, transaction) else None


def is_answer(datagram: bytes, transaction: int) -> bool:
    """Whether this datagram answers that question, and not one that was given up."""
    return len(datagram) >= _HEAD.size and _HEAD.unpack_from(datagram)[1] == transaction


def judge_datagram(answer: bytes, transaction: int) -> Verdict:
    if len(answer) < BARE_ANSWER or _HEAD.unpack_from(answer) != (_ANNOUNCE, transaction):
        return Verdict.REFUSED
    return Verdict.GOOD if len(answer) > BARE_ANSWER else Verdict.EMPTY


def judge(reply: bytes) -> Verdict:
    """Of a whole HTTP reply."""
    if b" 200 " not in reply[:16] or b"14:failure reason" in reply:
        return Verdict.REFUSED
    peers = _PEERS.search(reply)
    if peers is None:
        return Verdict.REFUSED
    return Verdict.GOOD if int(peers.group(1)) else Verdict.EMPTY


def is_whole(reply: bytes) -> bool:
    """Whether an HTTP client has all that it waits for."""
    head, _, body = reply.partition(b"\r\n\r\n")
    length = _LENGTH.search(head + b"\r\n")
    return length is not None and len(body) >= int(length.group(1))
