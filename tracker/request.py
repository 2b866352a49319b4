"""What a client asks, however it was worded: the typed requests of both front ends, and refusals."""

from enum import Enum
from typing import NamedTuple, NewType

InfoHash = NewType("InfoHash", bytes)
PeerId = NewType("PeerId", bytes)

DEFAULT_NUMWANT = 50
MOST_NUMWANT = 200


class Event(Enum):
    """What a client says has just happened to it (BEP 3; `paused` is BEP 21)."""

    NONE = b""
    STARTED = b"started"
    COMPLETED = b"completed"
    STOPPED = b"stopped"
    PAUSED = b"paused"


class BadRequestError(ValueError):
    """A request that its sender has to mend: which parameter, what is wrong with it, and where it says so."""

    def __init__(self, parameter: str, problem: str, bep: int = 3) -> None:
        super().__init__(f"{parameter} {problem} (BEP {bep})")
        self.parameter = parameter
        self.problem = problem
        self.bep = bep


class RefusalError(Exception):
    """A well-formed request that the tracker does not serve; the text is for the client's user.

    `retry_minutes`: when it may be worth another try (BEP 31).
    """

    def __init__(self, reason: str, retry_minutes: int) -> None:
        super().__init__(reason)
        self.retry_minutes = retry_minutes


class AnnounceRequest(NamedTuple):
    """One announce (BEP 3, 7, 15, 23). Counters are bytes since the client's `started`; `left` are to go.

    `claimed` is the packed address that the client says it has, which counts only from a trusted proxy.
    """

    info_hash: InfoHash
    peer_id: PeerId
    port: int
    left: int
    uploaded: int = 0
    downloaded: int = 0
    event: Event = Event.NONE
    numwant: int = DEFAULT_NUMWANT
    key: bytes = b""
    compact: bool = True
    no_peer_id: bool = False
    claimed: bytes | None = None


def peers_wanted(asked: int) -> int:
    """How many peers a client gets that asks for so many; some say -1 for "as you like"."""
    return DEFAULT_NUMWANT if asked < 0 else min(asked, MOST_NUMWANT)
