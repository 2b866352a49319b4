"""Peers as bytes, for a store that is elsewhere. Pure.

What is drawn from a pool is a contact: all that an answer says of a peer. It begins with its room, so that
in the order of bytes a room's contacts are one stretch.
"""

import struct
from typing import NamedTuple

from bencode2 import bdecode, bencode

from tracker.swarm.peer import BESIDE_TRACKER, KEEPS_INTERVAL, SEEDING, Peer

_NUMBERS = struct.Struct(">3Q3dHB")
_ENDPOINT4, _ENDPOINT6 = 1, 2
# More than any contact is long, room aside: it comes after all of the room's.
_AFTER = b"\xff" * 160


class Contact(NamedTuple):
    """Who a peer is and how it is reached; the fields are Peer's."""

    room: bytes
    endpoint4: bytes | None
    endpoint6: bytes | None
    identity: bytes

    @classmethod
    def of(cls, peer: Peer) -> "Contact":
        return cls(peer.room, peer.endpoint4, peer.endpoint6, peer.identity)

    @classmethod
    def read(cls, packed: bytes) -> "Contact":
        end = 1 + packed[0]
        room, kinds = packed[1:end], packed[end]
        end += 1
        endpoint4 = endpoint6 = None
        if kinds & _ENDPOINT4:
            endpoint4 = packed[end : end + 6]
            end += 6
        if kinds & _ENDPOINT6:
            endpoint6 = packed[end : end + 18]
            end += 18
        return cls(room, endpoint4, endpoint6, packed[end:])

    def packed(self) -> bytes:
        kinds = _ENDPOINT4 * (self.endpoint4 is not None) | _ENDPOINT6 * (self.endpoint6 is not None)
        endpoints = (self.endpoint4 or b"") + (self.endpoint6 or b"")
        return room_bounds(self.room)[0] + bytes((kinds,)) + endpoints + self.identity


def room_bounds(room: bytes) -> tuple[bytes, bytes]:
    """All packed contacts of a room, and no others, lie between these two."""
    prefix = bytes((len(room),)) + room
    return prefix, prefix + _AFTER


def pack(peer: Peer, strangers: list[bytes]) -> bytes:
    """A peer, and the contacts of other rooms that it was given."""
    numbers = _NUMBERS.pack(
        peer.left,
        peer.uploaded,
        peer.downloaded,
        peer.upload_rate,
        peer.download_rate,
        peer.seen,
        peer.interval,
        peer.flags,
    )
    return bencode([numbers, Contact.of(peer).packed(), strangers])


def unpack(packed: bytes) -> tuple[Peer, list[bytes]]:
    """What `pack` has packed."""
    numbers, contact, strangers = bdecode(packed)
    left, uploaded, downloaded, upload_rate, download_rate, seen, interval, flags = _NUMBERS.unpack(numbers)
    room, endpoint4, endpoint6, identity = Contact.read(contact)
    peer = Peer(
        identity,
        endpoint4,
        endpoint6,
        room,
        bool(flags & BESIDE_TRACKER),
        bool(flags & SEEDING),
        left,
        uploaded,
        downloaded,
        upload_rate,
        download_rate,
        seen,
        interval,
        bool(flags & KEEPS_INTERVAL),
    )
    return peer, strangers
