"""The swarms and their peers. No I/O and no clock: `now` is an argument, in seconds of a monotonic clock."""

import heapq
import math
import random
from collections.abc import Container
from dataclasses import dataclass
from enum import Enum

from tracker.handout import IPAddress, address_for, hand_out, subnet
from tracker.request import AnnounceRequest, Event, InfoHash, PeerId

MOST_ANNOUNCES_PER_SECOND = 200
SHORTEST_INTERVAL = 5
LONGEST_INTERVAL = 1800
# Two announces may get lost, as when a switch port renegotiates, before a peer counts as gone.
SILENT_INTERVALS = 3
# Seconds that a peer may be silent which has not yet shown that it keeps the interval: libtorrent as it
# comes (qBittorrent, Deluge) announces every five minutes at most, whatever it is asked for.
UNPROVEN_SILENCE = 330
# Two announces closer than this say nothing about a rate.
_SHORTEST_RATE_SPAN = 0.5


class PeerStatus(Enum):
    """What a peer does in its swarm."""

    SEEDING = "seeding"
    LEECHING = "leeching"
    STOPPED = "stopped"

    @classmethod
    def from_event_and_left(cls, event: Event, left: int) -> "PeerStatus":
        if event is Event.STOPPED:
            return cls.STOPPED
        return cls.SEEDING if left == 0 else cls.LEECHING


class News(Enum):
    """What an announce changed that a person wants to know of."""

    ARRIVED = "arrived"
    FINISHED = "finished"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Source:
    """Where an announce came from, and the tracker's own address that it came to."""

    address: IPAddress
    reached_at: IPAddress


@dataclass(frozen=True, slots=True, eq=False)
class Peer:
    """A client as it last announced itself. Bytes, bytes per second, and seconds of the caller's clock."""

    peer_id: PeerId
    key: bytes | None
    address: IPAddress
    port: int
    subnet: bytes
    beside_tracker: bool
    status: PeerStatus
    left: int
    uploaded: int
    downloaded: int
    upload_rate: float
    download_rate: float
    seen: float
    interval: int
    keeps_interval: bool

    @property
    def silent_from(self) -> float:
        """From when its silence is worth a look."""
        return self.seen + SILENT_INTERVALS * self.interval

    @property
    def valid_until(self) -> float:
        patience = 0 if self.keeps_interval else UNPROVEN_SILENCE
        return max(self.silent_from, self.seen + patience)

    @property
    def seeding(self) -> bool:
        return self.status is PeerStatus.SEEDING


@dataclass(frozen=True, slots=True)
class Contact:
    """How one announcer reaches one peer."""

    peer_id: PeerId
    address: IPAddress
    port: int


@dataclass(frozen=True, slots=True)
class Tally:
    """A swarm in three numbers (BEP 48): seeds, leechers, and downloads that were completed."""

    complete: int = 0
    incomplete: int = 0
    downloaded: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What an announcer learns. `interval` is in seconds; `news` is for the log."""

    contacts: tuple[Contact, ...]
    tally: Tally
    interval: int
    news: News | None


def interval_for(peers: int) -> int:
    """Seconds between two announces, so that all peers together stay within the tracker's rate."""
    fair = math.ceil(peers / MOST_ANNOUNCES_PER_SECOND)
    return min(max(fair, SHORTEST_INTERVAL), LONGEST_INTERVAL)


class Swarm:
    """The peers of one torrent. A client that comes again takes its own place, however it is recognised."""

    def __init__(self) -> None:
        self.downloaded = 0
        self._by_id: dict[PeerId, Peer] = {}
        self._by_key: dict[tuple[bytes, IPAddress], Peer] = {}
        self._by_endpoint: dict[tuple[IPAddress, int], Peer] = {}
        self._seeds = 0

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def peers(self) -> tuple[Peer, ...]:
        return tuple(self._by_id.values())

    @property
    def tally(self) -> Tally:
        return Tally(self._seeds, len(self._by_id) - self._seeds, self.downloaded)

    def get(self, peer_id: PeerId) -> Peer | None:
        return self._by_id.get(peer_id)

    def formers(self, request: AnnounceRequest, source: Source) -> list[Peer]:
        """The peers that this announcer was until now; the surest match first."""
        found = [self._by_id.get(request.peer_id)]
        if request.key is not None:
            found.append(self._by_key.get((request.key, source.address)))
        # A restarted client has the port of the old one. The old one's late `stopped` must not turn
        # the new one out, so a port is no proof for leaving.
        if request.event is not Event.STOPPED:
            found.append(self._by_endpoint.get((source.address, request.port)))
        return list(dict.fromkeys(peer for peer in found if peer is not None))

    def insert(self, peer: Peer) -> None:
        self._by_id[peer.peer_id] = peer
        if peer.key is not None:
            self._by_key[peer.key, peer.address] = peer
        self._by_endpoint[peer.address, peer.port] = peer
        self._seeds += peer.seeding

    def remove(self, peer: Peer) -> None:
        del self._by_id[peer.peer_id]
        if peer.key is not None:
            del self._by_key[peer.key, peer.address]
        del self._by_endpoint[peer.address, peer.port]
        self._seeds -= peer.seeding


class Swarms:
    """All swarms of one tracker: memory only, one thread only."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._swarms: dict[InfoHash, Swarm] = {}
        self._peers = 0
        # One entry for a peer, at the earliest time it can fall silent. An entry that comes up while its
        # peer is alive goes back with the new time, so an announce never searches the heap.
        self._leases: list[tuple[float, InfoHash, PeerId]] = []

    @property
    def interval(self) -> int:
        return interval_for(self._peers)

    def announce(self, swarm_id: InfoHash, request: AnnounceRequest, source: Source, now: float) -> Answer:
        """Answer one announcer and take it in, or out if it has stopped."""
        swarm = self._swarms.get(swarm_id)
        if swarm is None:
            swarm = self._swarms[swarm_id] = Swarm()
        formers = swarm.formers(request, source)
        for place in formers:
            swarm.remove(place)
        self._peers -= len(formers)
        status = PeerStatus.from_event_and_left(request.event, request.left)
        # The answer is drawn before the announcer is in, so it cannot be handed to itself.
        contacts = self._contacts(swarm, request, source, status)
        former = formers[0] if formers else None
        news = _news(former, status)
        if request.event is Event.COMPLETED and not (former and former.seeding):
            swarm.downloaded += 1
        if status is not PeerStatus.STOPPED:
            self._peers += 1
            peer = _peer(request, source, status, former, now, self.interval)
            swarm.insert(peer)
            if former is None or former.peer_id != peer.peer_id:
                heapq.heappush(self._leases, (peer.silent_from, swarm_id, peer.peer_id))
        return Answer(contacts, swarm.tally, self.interval, news)

    def expire(self, now: float) -> list[tuple[InfoHash, Peer]]:
        """Take out who has been silent for too long; looks only at those that may be due."""
        lost = []
        while self._leases and self._leases[0][0] <= now:
            _, swarm_id, peer_id = heapq.heappop(self._leases)
            swarm = self._swarms.get(swarm_id)
            peer = swarm.get(peer_id) if swarm else None
            if swarm is None or peer is None:
                continue
            if peer.valid_until > now:
                # One that has proved itself since is due sooner than it was.
                again = now + SILENT_INTERVALS * peer.interval
                due = peer.silent_from if peer.silent_from > now else min(peer.valid_until, again)
                heapq.heappush(self._leases, (due, swarm_id, peer_id))
                continue
            swarm.remove(peer)
            self._peers -= 1
            lost.append((swarm_id, peer))
        return lost

    def keep_only(self, published: Container[InfoHash]) -> None:
        """Forget the swarms of torrents that are no longer published."""
        for swarm_id in [known for known in self._swarms if known not in published]:
            self._peers -= len(self._swarms.pop(swarm_id))

    def peers(self, swarm_id: InfoHash) -> tuple[Peer, ...]:
        swarm = self._swarms.get(swarm_id)
        return swarm.peers if swarm else ()

    def tally(self, swarm_id: InfoHash) -> Tally:
        swarm = self._swarms.get(swarm_id)
        return swarm.tally if swarm else Tally()

    def _contacts(
        self, swarm: Swarm, request: AnnounceRequest, source: Source, status: PeerStatus
    ) -> tuple[Contact, ...]:
        if status is PeerStatus.STOPPED:
            return ()
        seeding = status is PeerStatus.SEEDING
        chosen = hand_out(source.address, seeding, swarm.peers, request.numwant, self._rng)
        return tuple(
            Contact(peer.peer_id, address_for(peer.address, source.address, source.reached_at), peer.port)
            for peer in chosen
        )


def _news(former: Peer | None, status: PeerStatus) -> News | None:
    if status is PeerStatus.STOPPED:
        return News.LEFT if former else None
    if former is None:
        return News.ARRIVED
    return News.FINISHED if status is PeerStatus.SEEDING and not former.seeding else None


def _peer(
    request: AnnounceRequest,
    source: Source,
    status: PeerStatus,
    former: Peer | None,
    now: float,
    interval: int,
) -> Peer:
    upload_rate = download_rate = 0.0
    # Only an announce without an event came because it was due.
    in_time = former is not None and now - former.seen <= SILENT_INTERVALS * former.interval
    keeps_interval = former is not None and (
        former.keeps_interval or (in_time and request.event is Event.NONE)
    )
    if former is not None and former.peer_id == request.peer_id:
        span = now - former.seen
        if span < _SHORTEST_RATE_SPAN:
            upload_rate, download_rate = former.upload_rate, former.download_rate
        else:
            upload_rate = max(0, request.uploaded - former.uploaded) / span
            download_rate = max(0, request.downloaded - former.downloaded) / span
    return Peer(
        peer_id=request.peer_id,
        key=request.key,
        address=source.address,
        port=request.port,
        subnet=subnet(source.address),
        beside_tracker=source.address == source.reached_at,
        status=status,
        left=request.left,
        uploaded=request.uploaded,
        downloaded=request.downloaded,
        upload_rate=upload_rate,
        download_rate=download_rate,
        seen=now,
        interval=interval,
        keeps_interval=keeps_interval,
    )
