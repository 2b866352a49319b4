"""One frozen picture of all swarms at one moment: the page and the API both show this value."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from tracker.allowlist import Published
from tracker.networks import address_text
from tracker.request import InfoHash
from tracker.swarm.peer import Peer, PeerStatus
from tracker.swarm.store import Store

# A seat whose silence has lasted for this part of what makes it lost is not merely slow.
_LATE = 0.5


@dataclass(frozen=True, slots=True)
class Seat:
    """One client in a swarm. Bytes, bytes per second and seconds; `progress` is from 0 to 1."""

    address: str
    port: int
    status: PeerStatus
    progress: float
    left: int
    uploaded: int
    downloaded: int
    upload_rate: float
    download_rate: float
    seen_ago: float
    late: bool

    @property
    def done(self) -> bool:
        return self.status is PeerStatus.SEEDING


@dataclass(frozen=True, slots=True)
class SwarmPicture:
    """One published torrent: who is the repository, and who sits in the room."""

    name: str
    info_hash: InfoHash
    size: int
    piece_length: int
    downloaded: int
    repository: tuple[Seat, ...]
    seats: tuple[Seat, ...]

    @property
    def done(self) -> int:
        return sum(seat.done for seat in self.seats)

    @property
    def filling(self) -> int:
        return len(self.seats) - self.done

    @property
    def progress(self) -> float:
        """How full the room is, from 0 to 1."""
        return sum(seat.progress for seat in self.seats) / len(self.seats) if self.seats else 0.0

    @property
    def repository_uploaded(self) -> int:
        return sum(seat.uploaded for seat in self.repository)

    @property
    def copies(self) -> float:
        """How many times the whole image has left the repository: 1 is the least a room needs."""
        return self.repository_uploaded / self.size if self.size else 0.0

    @property
    def rate(self) -> float:
        """What the room takes in, in bytes per second."""
        return sum(seat.download_rate for seat in self.seats if not seat.done)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All published torrents, those with a room first. `interval` is in seconds."""

    interval: int
    swarms: tuple[SwarmPicture, ...]

    @property
    def done(self) -> int:
        return sum(swarm.done for swarm in self.swarms)

    @property
    def filling(self) -> int:
        return sum(swarm.filling for swarm in self.swarms)

    @property
    def rate(self) -> float:
        return sum(swarm.rate for swarm in self.swarms)


async def take(published: Iterable[Published], store: Store, now: float) -> Snapshot:
    """Picture the swarms of the published torrents as they are at `now`."""
    pictures = [await take_one(entry, store, now) for entry in published]
    pictures.sort(key=lambda swarm: (not swarm.filling, not swarm.seats, natural(swarm.name)))
    return Snapshot(await store.interval(), tuple(pictures))


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """A sort key that puts `aula2` before `aula10`."""
    return tuple(
        (int(part), "") if part.isdecimal() and part.isascii() and len(part) < 20 else (-1, part.casefold())
        for part in re.split(r"([0-9]+)", name)
    )


async def take_one(entry: Published, store: Store, now: float) -> SwarmPicture:
    """Picture the swarm of one torrent."""
    size = entry.torrent.size
    peers = await store.peers(entry.swarm_id)
    peers.sort(key=lambda peer: (len(peer.endpoint), peer.endpoint))
    # A client on the tracker's own host is the repository's seed, whichever of the host's addresses it used.
    return SwarmPicture(
        name=entry.name,
        info_hash=entry.swarm_id,
        size=size,
        piece_length=entry.torrent.piece_length,
        downloaded=(await store.tally(entry.swarm_id)).downloaded,
        repository=tuple(_seat(peer, size, now) for peer in peers if peer.beside_tracker),
        seats=tuple(_seat(peer, size, now) for peer in peers if not peer.beside_tracker),
    )


def _seat(peer: Peer, size: int, now: float) -> Seat:
    seen_ago = max(0.0, now - peer.seen)
    return Seat(
        address=address_text(peer.endpoint[:-2]),
        port=int.from_bytes(peer.endpoint[-2:], "big"),
        status=peer.status,
        # The client says what is left; nothing makes it say less than the whole.
        progress=1.0 if peer.seeding else max(0.0, 1 - peer.left / size) if size else 0.0,
        left=peer.left,
        uploaded=peer.uploaded,
        downloaded=peer.downloaded,
        upload_rate=peer.upload_rate,
        download_rate=peer.download_rate,
        seen_ago=seen_ago,
        late=seen_ago > _LATE * (peer.valid_until - peer.seen),
    )


def as_json(snapshot: Snapshot) -> dict[str, object]:
    """The snapshot in JSON's own types; info-hashes in hexadecimal."""
    return {"interval": snapshot.interval, "swarms": [swarm_as_json(swarm) for swarm in snapshot.swarms]}


def swarm_as_json(swarm: SwarmPicture) -> dict[str, object]:
    """One swarm of it."""
    return {
        "name": swarm.name,
        "info_hash": swarm.info_hash.hex(),
        "size": swarm.size,
        "piece_length": swarm.piece_length,
        "downloaded": swarm.downloaded,
        "done": swarm.done,
        "filling": swarm.filling,
        "progress": swarm.progress,
        "copies": swarm.copies,
        "repository": [_seat_as_json(seat) for seat in swarm.repository],
        "seats": [_seat_as_json(seat) for seat in swarm.seats],
    }


def _seat_as_json(seat: Seat) -> dict[str, object]:
    return asdict(seat) | {"status": seat.status.value}
