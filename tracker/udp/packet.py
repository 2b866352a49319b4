"""Datagrams to typed requests and back (BEP 15; BEP 41's options are skipped)."""

import struct
from collections.abc import Iterable

from tracker.request import AnnounceRequest, BadRequestError, Event, InfoHash, PeerId, peers_wanted
from tracker.swarm.peer import Answer, Tally

CONNECT, ANNOUNCE, SCRAPE, ERROR = range(4)
# What a connect begins with, in the place of a connection id.
PROTOCOL_ID = (0x41727101980).to_bytes(8, "big")

MOST_SCRAPED = 74
# An answer stays within one Ethernet frame, for not every network puts fragments together again:
# 1500 less the IPv6 and UDP headers, and less the 20 bytes before the peers.
_MOST_BYTES_OF_PEERS = 1500 - 48 - 20

HEADER = struct.Struct(">8sII")
_ANNOUNCE = struct.Struct(">8sII20s20sQQQI4s4siH")
_CONNECTED = struct.Struct(">II8s")
_ANSWER = struct.Struct(">IIIII")
_TALLY = struct.Struct(">III")
_ERROR = struct.Struct(">II")
_EVENTS = (Event.NONE, Event.COMPLETED, Event.STARTED, Event.STOPPED)
_MOST_COUNT = (1 << 63) - 1


def parse_announce(data: bytes) -> AnnounceRequest:
    """Read an announce; raises BadRequestError."""
    if len(data) < _ANNOUNCE.size:
        raise BadRequestError("announce", f"has {len(data)} bytes instead of {_ANNOUNCE.size}", bep=15)
    (_, _, _, info_hash, peer_id, downloaded, left, uploaded, event, address, key, numwant, port) = (
        _ANNOUNCE.unpack_from(data)
    )
    if event >= len(_EVENTS):
        raise BadRequestError("event", "is none of 0, 1, 2, 3", bep=15)
    if not port:
        raise BadRequestError("port", "is not between 1 and 65535", bep=15)
    if max(left, downloaded, uploaded) > _MOST_COUNT:
        raise BadRequestError("left, downloaded or uploaded", "is negative", bep=15)
    return AnnounceRequest(
        InfoHash(info_hash),
        PeerId(peer_id),
        port,
        left,
        uploaded,
        downloaded,
        _EVENTS[event],
        peers_wanted(numwant),
        key,
        claimed=address if any(address) else None,
    )


def parse_scrape(data: bytes) -> tuple[InfoHash, ...]:
    """The info-hashes that a scrape asks for, in its order; raises BadRequestError."""
    hashes = data[HEADER.size :]
    if not hashes or len(hashes) % 20:
        raise BadRequestError("scrape", "does not hold whole info-hashes of 20 bytes", bep=15)
    if len(hashes) > 20 * MOST_SCRAPED:
        raise BadRequestError("scrape", f"asks for more than {MOST_SCRAPED} info-hashes", bep=15)
    return tuple(InfoHash(hashes[at : at + 20]) for at in range(0, len(hashes), 20))


def connect_reply(transaction: int, connection_id: bytes) -> bytes:
    return _CONNECTED.pack(CONNECT, transaction, connection_id)


def announce_reply(transaction: int, answer: Answer, size: int) -> bytes:
    """An answer; `size` is that of the announcer's endpoints, 6 or 18 bytes: a datagram has but one kind."""
    peers = b"".join([endpoint for endpoint in answer.endpoints if len(endpoint) == size])
    tally = answer.tally
    head = _ANSWER.pack(ANNOUNCE, transaction, answer.interval, tally.incomplete, tally.complete)
    return head + peers[: _MOST_BYTES_OF_PEERS // size * size]


def scrape_reply(transaction: int, tallies: Iterable[Tally]) -> bytes:
    """Seeds, completed downloads and leechers for each hash, in the order they were asked for."""
    packed = [_TALLY.pack(tally.complete, tally.downloaded, tally.incomplete) for tally in tallies]
    return _ERROR.pack(SCRAPE, transaction) + b"".join(packed)


def error_reply(transaction: int, reason: str) -> bytes:
    return _ERROR.pack(ERROR, transaction) + reason.encode()
