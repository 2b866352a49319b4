"""One frozen picture of all rooms at one moment, which page, live events, JSON and terminal all show.

Sizes are in bytes, rates in bytes per second, spans in seconds, `progress` is from 0 to 1. Moments are
seconds since 1970.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Protocol

from tracker.classroom.curve import Curve
from tracker.classroom.report import Report
from tracker.networks import Listed
from tracker.request import InfoHash
from tracker.swarm.peer import PeerStatus


class SeatState(Enum):
    """What a person wants to know of a seat."""

    CHECKING = "checking"  # reads what it has already
    FILLING = "filling"
    DONE = "done"
    LEFT = "left"  # stopped before it was done, as it said
    LOST = "lost"  # fell silent before it was done
    FAILED = "failed"  # gave up, as it said

    @property
    def is_under_way(self) -> bool:
        return self in (SeatState.CHECKING, SeatState.FILLING)


class TroubleKind(Enum):
    """Why somebody may have to walk to a seat; `Trouble.figure` and `Trouble.words` say more."""

    LOST = "lost"  # figure: seconds of silence
    FAILED = "failed"  # figure: exit code; words: the error, as the seat put it
    CACHE_FULL = "cache-full"  # figure: bytes that are free; words: as of FAILED
    SLOW_PORT = "slow-port"  # figure: Mbit/s, as the seat's network card says
    FLAT_RATE = "flat-rate"  # figure: Mbit/s of the port that its rate looks like
    SLOW_DISK = "slow-disk"  # figure: bytes per second that the disk writes
    UNREACHABLE = "unreachable"  # no peer can connect in
    SLOW = "slow"  # figure: part of the room's median rate, from 0 to 1


@dataclass(frozen=True, slots=True)
class Trouble:
    kind: TroubleKind
    figure: float = 0.0
    words: str = ""


@dataclass(frozen=True, slots=True)
class Seat:
    """One client in one swarm."""

    address: str
    port: int
    name: str  # of the PC, as the site's list has it, or as it says; empty where neither does
    room: str
    state: SeatState
    status: PeerStatus  # as it last announced
    progress: float
    left: int
    uploaded: int
    downloaded: int
    upload_rate: float
    download_rate: float
    seen_ago: float  # since its last announce
    late: bool
    present: bool  # still in the swarm
    rate: float  # of what it takes in now, over the last seconds
    began: float  # when it came
    took: float | None  # from then until it was done
    time_left: float | None
    trouble: Trouble | None
    report: Report | None  # of clients that send one
    filled: Curve  # progress
    rates: Curve  # of its download

    @property
    def done(self) -> bool:
        return self.state is SeatState.DONE

    @property
    def shown(self) -> str:
        """What people call it."""
        return self.name or self.address


class EventKind(Enum):
    BEGAN = "began"  # the deployment
    ARRIVED = "arrived"
    FINISHED = "finished"  # figure: seconds that it took
    LEFT = "left"  # figure: progress
    TROUBLE = "trouble"  # figure: progress
    ENDED = "ended"  # the deployment; figure: seconds that it took


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a person wants to know of. `seat` is a name or an address, empty for the deployment."""

    at: float
    kind: EventKind
    seat: str = ""
    address: str = ""
    figure: float = 0.0
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """One image going to one or more rooms, from the first seat that fills until none does."""

    id: str  # for its page in the history
    image: str
    size: int
    began: float
    ended: float | None
    sent: int  # what left the repository
    delivered: int  # what seats took in

    def took(self, now: float) -> float:
        return (self.ended or now) - self.began

    @property
    def copies(self) -> float:
        """How many times the whole image has left the repository for it: 1 is the least."""
        return self.sent / self.size if self.size else 0.0

    @property
    def share(self) -> float | None:
        """Which part of what seats took in other seats gave, from 0 to 1."""
        return max(0.0, 1 - self.sent / self.delivered) if self.delivered else None


@dataclass(frozen=True, slots=True)
class SwarmPicture:
    """One published torrent: who is the repository, and who sits in the rooms, as people count."""

    name: str
    info_hash: InfoHash
    size: int
    piece_length: int
    downloaded: int
    repository: tuple[Seat, ...]
    seats: tuple[Seat, ...]
    deployment: Deployment | None  # the one that runs, or the last
    filled: Curve  # mean progress of the deployment's seats
    rates: Curve  # what all of them take in
    events: tuple[Event, ...]  # the newest last

    def count(self, *states: SeatState) -> int:
        return sum(seat.state in states for seat in self.seats)

    @property
    def done(self) -> int:
        return self.count(SeatState.DONE)

    @property
    def filling(self) -> int:
        return self.count(SeatState.CHECKING, SeatState.FILLING)

    @property
    def lost(self) -> int:
        """Those that will not be done by themselves."""
        return self.count(SeatState.LOST, SeatState.FAILED, SeatState.LEFT)

    @property
    def progress(self) -> float:
        """How full the rooms are, from 0 to 1."""
        return sum(seat.progress for seat in self.seats) / len(self.seats) if self.seats else 0.0

    @property
    def copies(self) -> float:
        """How many times the whole image has left the repository since its seed started."""
        return sum(seat.uploaded for seat in self.repository) / self.size if self.size else 0.0

    @property
    def rate(self) -> float:
        """What the rooms take in."""
        return sum(seat.rate for seat in self.seats)

    @property
    def time_left(self) -> float | None:
        """Until the last seat is ready; None while one that fills stands still, or none fills."""
        return _longest(self.seats)

    @property
    def troubled(self) -> tuple[Seat, ...]:
        return tuple(seat for seat in self.seats if seat.trouble)


@dataclass(frozen=True, slots=True)
class RoomPicture:
    """The seats of one room, in all swarms, and the PCs that the site's list has there besides."""

    name: str
    seats: tuple[tuple[SwarmPicture, Seat], ...]
    unseen: tuple[Listed, ...]

    @property
    def time_left(self) -> float | None:
        return _longest(seat for _, seat in self.seats)

    @property
    def progress(self) -> float:
        return sum(seat.progress for _, seat in self.seats) / len(self.seats) if self.seats else 0.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All published torrents, those with a room first."""

    at: float
    interval: int
    swarms: tuple[SwarmPicture, ...]
    unseen: tuple[Listed, ...] = ()  # of the site's list, in no swarm

    @property
    def done(self) -> int:
        return sum(swarm.done for swarm in self.swarms)

    @property
    def filling(self) -> int:
        return sum(swarm.filling for swarm in self.swarms)

    @property
    def lost(self) -> int:
        return sum(swarm.lost for swarm in self.swarms)

    @property
    def rate(self) -> float:
        return sum(swarm.rate for swarm in self.swarms)

    @property
    def rooms(self) -> tuple[RoomPicture, ...]:
        """By name; within a room, seats as people count PCs, those of one PC side by side."""
        rooms: dict[str, list[tuple[SwarmPicture, Seat]]] = {}
        for swarm in self.swarms:
            for seat in swarm.seats:
                rooms.setdefault(seat.room, []).append((swarm, seat))
        unseen: dict[str, list[Listed]] = {}
        for pc in self.unseen:
            unseen.setdefault(pc.room, []).append(pc)
        return tuple(
            RoomPicture(
                name,
                tuple(sorted(rooms.get(name, ()), key=lambda pair: by_seat(pair[1]))),
                tuple(sorted(unseen.get(name, ()), key=by_seat)),
            )
            for name in sorted(rooms.keys() | unseen.keys(), key=natural)
        )


@lru_cache(1 << 15)
def natural(name: str) -> tuple[tuple[int, str], ...]:
    """A sort key that puts `aula2` before `aula10`."""
    return tuple(
        (int(part), "") if part.isdecimal() and part.isascii() and len(part) < 20 else (-1, part.casefold())
        for part in re.split(r"([0-9]+)", name)
    )


class Named(Protocol):
    @property
    def address(self) -> str: ...

    @property
    def shown(self) -> str: ...


def by_seat(seat: Named) -> tuple[object, ...]:
    """A sort key: by name, and those without one by address, IPv4 before IPv6."""
    return (":" in seat.shown, natural(seat.shown), natural(seat.address))


def _longest(seats: Iterable[Seat]) -> float | None:
    spans = [seat.time_left for seat in seats if seat.state.is_under_way]
    return None if None in spans else max((span for span in spans if span is not None), default=None)
