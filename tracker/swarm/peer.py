"""A client in a swarm, and how an announce changes what is known of it. Pure: `now` is an argument."""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple, TypeVar
from zlib import crc32

from tracker.request import AnnounceRequest, Event

# Two announces may get lost, as when a switch port renegotiates, before a peer counts as gone.
SILENT_INTERVALS = 3
# Seconds that a peer may be silent which has not yet shown that it keeps the interval: libtorrent as it
# comes (qBittorrent, Deluge) announces every five minutes at most, whatever it is asked for.
UNPROVEN_SILENCE = 330
# Two announces closer than this say nothing about a rate.
_SHORTEST_RATE_SPAN = 0.5

# What is yes or no of a peer, in one number.
SEEDING, BESIDE_TRACKER, KEEPS_INTERVAL = 1, 2, 4

Place = TypeVar("Place")


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


class Source(NamedTuple):
    """Where an announce came from, and the tracker's own address that it came to: packed addresses."""

    address: bytes
    reached_at: bytes


class Peer(NamedTuple):
    """A client as it last announced itself. Bytes, bytes per second, and seconds of the caller's clock.

    `identity` is its peer_id and its key: who changes address proves by the key that it is still the same
    (BEP 3, BEP 7). `endpoint4` and `endpoint6` are packed addresses and ports; a client that announces over
    both is one peer.
    """

    identity: bytes
    endpoint4: bytes | None
    endpoint6: bytes | None
    room: bytes
    beside_tracker: bool
    seeding: bool
    left: int
    uploaded: int
    downloaded: int
    upload_rate: float
    download_rate: float
    seen: float
    interval: int
    keeps_interval: bool

    @property
    def peer_id(self) -> bytes:
        return self.identity[:20]

    @property
    def endpoint(self) -> bytes:
        """The one to show."""
        endpoint = self.endpoint4 or self.endpoint6
        assert endpoint is not None
        return endpoint

    @property
    def flags(self) -> int:
        return (
            SEEDING * self.seeding
            | BESIDE_TRACKER * self.beside_tracker
            | KEEPS_INTERVAL * self.keeps_interval
        )

    @property
    def valid_until(self) -> float:
        return valid_until(self.seen, self.interval, self.keeps_interval)

    @property
    def status(self) -> PeerStatus:
        return PeerStatus.SEEDING if self.seeding else PeerStatus.LEECHING


class Tally(NamedTuple):
    """A swarm in three numbers (BEP 48): seeds, leechers, and downloads that were completed."""

    complete: int = 0
    incomplete: int = 0
    downloaded: int = 0


class Answer(NamedTuple):
    """What an announcer learns. Endpoints are packed, with a peer_id for each where they were asked for.

    `interval` is in seconds; `news` is for the log.
    """

    endpoints: list[bytes]
    peer_ids: list[bytes]
    tally: Tally
    interval: int
    news: News | None


def identity_of(request: AnnounceRequest) -> bytes:
    return request.peer_id + request.key


def endpoint_of(request: AnnounceRequest, source: Source) -> bytes:
    return source.address + request.port.to_bytes(2, "big")


def is_beside_tracker(source: Source) -> bool:
    """Whether it runs on the tracker's own host: then it is the repository's."""
    return source.address == source.reached_at


def place_of(
    own: Place | None, held: Place | None, holder: bytes, request: AnnounceRequest
) -> tuple[Place | None, Place | None]:
    """Which place an announcer takes, and which is vacated by that: its own, or that of who has its endpoint.

    `holder` is the peer_id there. A restarted client has the endpoint of the old one. The old one's late
    `stopped` must not turn the new one out, so an endpoint alone is no proof for leaving.
    """
    if held is None or (request.event is Event.STOPPED and holder != request.peer_id):
        return own, None
    return (held, None) if own is None else (own, held)


def renewed(
    former: Peer | None,
    request: AnnounceRequest,
    source: Source,
    room_of: Callable[[bytes], bytes],
    now: float,
    interval: int,
) -> Peer:
    """The peer after this announce. One that has both addresses sits in the room of its IPv4 address."""
    endpoint = endpoint_of(request, source)
    endpoint4, endpoint6 = (endpoint, None) if len(endpoint) == 6 else (None, endpoint)
    upload_rate = download_rate = 0.0
    keeps_interval = False
    identity = identity_of(request)
    if former is not None:
        span = now - former.seen
        # Only an announce without an event came because it was due.
        in_time = span <= SILENT_INTERVALS * former.interval and request.event is Event.NONE
        keeps_interval = former.keeps_interval or in_time
        if former.identity == identity:
            endpoint4 = endpoint4 or former.endpoint4
            endpoint6 = endpoint6 or former.endpoint6
            if span < _SHORTEST_RATE_SPAN:
                upload_rate, download_rate = former.upload_rate, former.download_rate
            else:
                upload_rate = max(0, request.uploaded - former.uploaded) / span
                download_rate = max(0, request.downloaded - former.downloaded) / span
    return Peer(
        identity,
        endpoint4,
        endpoint6,
        room_of((endpoint4 or endpoint)[:-2]),
        is_beside_tracker(source),
        request.left == 0,
        request.left,
        request.uploaded,
        request.downloaded,
        upload_rate,
        download_rate,
        now,
        interval,
        keeps_interval,
    )


def news_of(former_seeding: bool | None, status: PeerStatus) -> News | None:
    """What to tell of one that was seeding or not, or was unknown (None)."""
    if status is PeerStatus.STOPPED:
        return News.LEFT if former_seeding is not None else None
    if former_seeding is None:
        return News.ARRIVED
    return News.FINISHED if status is PeerStatus.SEEDING and not former_seeding else None


def is_download(request: AnnounceRequest, former_seeding: bool | None) -> bool:
    """Whether this announce tells of a download that was completed, and is the first that does."""
    return request.event is Event.COMPLETED and request.left == 0 and not former_seeding


def one_of(seeds: Sequence[Place], peer: Peer) -> Place | None:
    """Any, so that each is somebody's, but for one peer the same at each announce."""
    return seeds[crc32(peer.endpoint) % len(seeds)] if seeds else None


def silent_from(seen: float, interval: int) -> float:
    """From when a peer's silence is worth a look."""
    return seen + SILENT_INTERVALS * interval


def valid_until(seen: float, interval: int, keeps_interval: bool) -> float:
    """When a peer that stays silent is gone."""
    return max(silent_from(seen, interval), seen + (0 if keeps_interval else UNPROVEN_SILENCE))


def next_look(seen: float, interval: int, keeps_interval: bool, now: float) -> float:
    """When to look again at a peer that is alive now; one that proves itself meanwhile is due sooner."""
    silent = silent_from(seen, interval)
    if silent > now:
        return silent
    return min(valid_until(seen, interval, keeps_interval), now + SILENT_INTERVALS * interval)
