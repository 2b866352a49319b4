"""The contract of every store of swarms: one suite of tests runs on all."""

from typing import NamedTuple, Protocol

from tracker.request import AnnounceRequest, InfoHash
from tracker.swarm.peer import Answer, Peer, Source, Tally

MOST_ANNOUNCES_PER_SECOND = 200
SHORTEST_INTERVAL = 5
LONGEST_INTERVAL = 1800


class Expired(NamedTuple):
    """Who has been silent for too long, and whether there may be more of them."""

    lost: list[tuple[InfoHash, Peer]]
    more: bool


class Store(Protocol):
    """The swarms of one tracker, or of several. `now` is in seconds of `clock`, wherever it is an argument.

    A store whose data is elsewhere raises StoreDownError when it cannot be reached.
    """

    at_once: bool
    """Whether answers come without waiting, so that a caller may do without a task for each."""

    def clock(self) -> float:
        """Seconds that all trackers of this store count alike, and that never go back."""

    async def announce(
        self, swarm_id: InfoHash, request: AnnounceRequest, source: Source, now: float
    ) -> Answer:
        """Answer one announcer and take it in, or out if it has stopped."""

    async def tally(self, swarm_id: InfoHash) -> Tally: ...

    async def peers(self, swarm_id: InfoHash) -> list[Peer]: ...

    async def interval(self) -> int:
        """Seconds between two announces, as a newcomer would be told."""

    async def expire(self, now: float, most: int) -> Expired:
        """Take out who has been silent for too long, having looked at no more than `most`."""

    async def withdraw(self, swarm_id: InfoHash) -> None:
        """Forget the peers of a torrent that is no longer published; its downloads stay counted."""

    async def secret(self) -> bytes:
        """What connection ids are made with (BEP 15): the same after a restart, and for all on one store."""

    async def save(self) -> None:
        """Put on disk what is to outlast the process; raises StateError."""

    async def close(self) -> None: ...


class StoreDownError(Exception):
    """The place where the swarms are kept does not answer: which one, and why. `told` is for clients."""

    told = "the tracker's store does not answer"


def interval_for(peers: int) -> int:
    """Seconds between two announces, so that all peers together stay within the tracker's rate."""
    fair = -(-peers // MOST_ANNOUNCES_PER_SECOND)
    return min(max(fair, SHORTEST_INTERVAL), LONGEST_INTERVAL)
