"""How swarms lie in Valkey: the keys, and the commands that change and read them. Pure.

Where things are, `S` a torrent's info-hash of 20 bytes:

    tracker:1:peer:S<identity>           a peer's record
    tracker:1:at:S<endpoint>             the identity of who is there
    tracker:1:leeching:S, :seeding:S     contacts in the order of bytes: a room is one stretch of them
    tracker:1:repository:S               contacts of seeds beside a tracker
    tracker:1:due                        S<identity> by when its silence is next looked at
    tracker:1:downloads                  completed downloads by S
    tracker:1:secret

The number is to change with the form of what is stored.
"""

from typing import Any, NamedTuple

from tracker.request import InfoHash
from tracker.swarm.peer import Peer, Tally, silent_from
from tracker.swarm.record import Contact, pack, unpack

DUE = b"tracker:1:due"
DOWNLOADS = b"tracker:1:downloads"
SECRET = b"tracker:1:secret"


def record_key(swarm_id: bytes, identity: bytes) -> bytes:
    return b"tracker:1:peer:" + swarm_id + identity


def at_key(swarm_id: bytes, endpoint: bytes) -> bytes:
    return b"tracker:1:at:" + swarm_id + endpoint


def pool_key(swarm_id: bytes, seeding: bool) -> bytes:
    return (b"tracker:1:seeding:" if seeding else b"tracker:1:leeching:") + swarm_id


def repository_key(swarm_id: bytes) -> bytes:
    return b"tracker:1:repository:" + swarm_id


class Known(NamedTuple):
    """What is stored of a peer: itself, and the contacts of other rooms that it was given."""

    peer: Peer
    strangers: list[bytes]

    @classmethod
    def read(cls, record: bytes | None) -> "Known | None":
        return cls(*unpack(record)) if record else None


def put(changes: Any, swarm_id: InfoHash, peer: Peer, strangers: list[bytes]) -> None:
    """Have a peer written, where nothing of it is, or what is has been taken out."""
    contact = Contact.of(peer).packed()
    changes.set(record_key(swarm_id, peer.identity), pack(peer, strangers))
    for endpoint in _endpoints(peer):
        changes.set(at_key(swarm_id, endpoint), peer.identity)
    changes.zadd(pool_key(swarm_id, peer.seeding), {contact: 0})
    changes.zadd(DUE, {swarm_id + peer.identity: silent_from(peer.seen, peer.interval)})
    if peer.beside_tracker and peer.seeding:
        changes.sadd(repository_key(swarm_id), contact)


def take_out(changes: Any, swarm_id: InfoHash, peer: Peer) -> None:
    """Have all removed that is stored of a peer."""
    contact = Contact.of(peer).packed()
    keys = [at_key(swarm_id, endpoint) for endpoint in _endpoints(peer)]
    changes.delete(record_key(swarm_id, peer.identity), *keys)
    changes.zrem(pool_key(swarm_id, peer.seeding), contact)
    changes.zrem(DUE, swarm_id + peer.identity)
    changes.srem(repository_key(swarm_id), contact)


def _endpoints(peer: Peer) -> list[bytes]:
    return [endpoint for endpoint in (peer.endpoint4, peer.endpoint6) if endpoint is not None]


def ask_tally(reading: Any, swarm_id: InfoHash) -> None:
    """Have the three numbers read that `tally_of` makes a tally of."""
    reading.zcard(pool_key(swarm_id, True))
    reading.zcard(pool_key(swarm_id, False))
    reading.hget(DOWNLOADS, swarm_id)


def tally_of(found: list[Any]) -> Tally:
    """From the last three results."""
    complete, incomplete, downloaded = found[-3:]
    return Tally(complete, incomplete, int(downloaded or 0))
