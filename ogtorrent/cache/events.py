"""What an update tells while it runs: the lines of `--json` and of the seeder's socket."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Alone:
    """The repository does not answer; the work goes on with what the room has."""

    event: ClassVar[str] = "alone"
    repository: str
    why: str


@dataclass(frozen=True)
class Started:
    """The image is known and the seeder has taken the work."""

    event: ClassVar[str] = "started"
    image: str
    path: str
    size: int


@dataclass(frozen=True)
class Checking:
    """Bytes on disk are being hashed: `done` of `size`."""

    event: ClassVar[str] = "checking"
    done: int
    size: int


@dataclass(frozen=True)
class MakingRoom:
    """Bytes; what goes so that the image finds room: images, and previous versions of images."""

    event: ClassVar[str] = "room"
    needed: int
    free: int
    images: list[str]
    previous: list[str]
    in_place: bool  # the old version of this image is written over


@dataclass(frozen=True)
class Gathering:
    """A multicast session waits for more seats, `seconds` more at most."""

    event: ClassVar[str] = "gathering"
    seats: int
    clients: int
    seconds: float


@dataclass(frozen=True)
class BySwarm:
    """The rest does not come by multicast but from the swarm."""

    event: ClassVar[str] = "swarm"
    why: str


@dataclass(frozen=True)
class Progress:
    """Bytes, bytes a second, seconds; `left` is None while nobody can say."""

    event: ClassVar[str] = "progress"
    done: int
    size: int
    rate: int
    peers: int
    from_seats: int
    from_repository: int
    left: float | None
    tracker: str  # what the tracker said, where it was a refusal
    shared: int = 0  # bytes that this PC had already: in its cache, or on a disk


@dataclass(frozen=True)
class Overlay:
    """What is laid over the image on this PC, before the image is Done."""

    event: ClassVar[str] = "overlay"
    overlay: str  # groups/aula1/windows.img
    path: str
    size: int  # bytes
    fetched: int  # bytes that came over the network
    state: str  # "brought"; "whole": it stood there; "removed": it no longer applies


@dataclass(frozen=True)
class Done:
    """The image stands whole under its final name, and what is laid over it, too."""

    event: ClassVar[str] = "done"
    image: str
    path: str
    size: int
    seconds: float
    fetched: int  # bytes that came over the network
    from_seats: int
    from_repository: int
    seeding: int  # seconds that it is seeded from now on
    shared: int = 0  # bytes that this PC had already: in its cache, or on a disk


@dataclass(frozen=True)
class Failed:
    event: ClassVar[str] = "failed"
    message: str
    exit_code: int


Event = Alone | Started | Checking | MakingRoom | Gathering | BySwarm | Progress | Overlay | Done | Failed
_KINDS: dict[str, type[Event]] = {
    kind.event: kind
    for kind in (Alone, Started, Checking, MakingRoom, Gathering, BySwarm, Progress, Overlay, Done, Failed)
}


def encode(event: Event) -> str:
    """One line of JSON, without its end."""
    return json.dumps({"event": event.event, **asdict(event)})


def decode(line: str | bytes) -> Event:
    """Raises ValueError where the line is no event."""
    fields: dict[str, Any] = json.loads(line)
    kind = _KINDS.get(fields.pop("event", ""))
    if kind is None:
        raise ValueError(f"no event: {line!r}")
    try:
        return kind(**fields)
    except TypeError as error:
        raise ValueError(str(error)) from error
