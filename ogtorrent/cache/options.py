"""The options of updateCache: how an image comes, and what to do when the cache is full."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ogtorrent.errors import BadOptions
from ogtorrent.multicast import MulticastSession
from ogtorrent.words import words

ENGINE = Path("/opt/opengnsys/etc/engine.cfg")  # OpenGnsys's settings of a client, in the shell's words
LONGEST = 366 * 24 * 3600  # seconds


class Mode(StrEnum):
    PEER = "peer"  # seed while downloading, and SECONDS after
    SEEDER = "seeder"  # the same; OpenGnsys uses it for what is in the cache already
    LEECHER = "leecher"  # take only


@dataclass(frozen=True)
class TorrentOptions:
    mode: Mode
    seconds: int

    @classmethod
    def parse(cls, text: str) -> TorrentOptions:
        """Raises BadOptions."""
        match = re.fullmatch(r"([A-Za-z]+):([0-9]{1,12})", text, re.ASCII)
        if match is None:
            raise BadOptions(text[:80], words("it is not of the form MODE:SECONDS"))
        mode, seconds = match[1].lower(), int(match[2])
        if mode not in tuple(Mode):
            raise BadOptions(text[:80], words("there is no mode {mode!r}", mode=match[1][:40]))
        if seconds > LONGEST:
            raise BadOptions(text[:80], words("{seconds} seconds are more than a year", seconds=seconds))
        return cls(Mode(mode), seconds)

    @property
    def seeding_seconds(self) -> int:
        """How long the image is seeded once it stands."""
        return 0 if self.mode is Mode.LEECHER else self.seconds

    def __str__(self) -> str:
        return f"{self.mode}:{self.seconds}"


class Protocol(StrEnum):
    """How an image comes; OpenGnsys writes them in capitals."""

    TORRENT = "torrent"
    MULTICAST = "multicast"  # the swarm mends what it loses
    UNICAST = "unicast"  # HTTP from the repository


SEEDING = TorrentOptions(Mode.PEER, 3600)  # unless it is said


@dataclass(frozen=True)
class Way:
    """How an image comes; `session` is of multicast, the repository's own where it is None."""

    protocol: Protocol = Protocol.TORRENT
    options: TorrentOptions = SEEDING
    session: MulticastSession | None = None

    @classmethod
    def parse(cls, protocol: Protocol, session: str | None) -> Way:
        """`session`: `MODE:SECONDS`, or multicast's own. Raises BadOptions, BadSession."""
        if session is None:
            return cls(protocol)
        if protocol is Protocol.MULTICAST:
            return cls(protocol, session=MulticastSession.parse(session))
        return cls(protocol, TorrentOptions.parse(session))


class WhenFull(StrEnum):
    FAIL = "fail"
    EVICT = "evict"  # the images that were not used for longest go
    IN_PLACE = "in-place"  # the new version over the old one


@dataclass(frozen=True)
class Full:
    """What the owner wants where there is no room."""

    action: WhenFull = WhenFull.FAIL
    evict_seeded: bool = False  # what somebody takes from us right now, too


FAIL = Full()


def when_full(engine: Path = ENGINE) -> WhenFull:
    """What OpenGnsys's ACTIONCACHEFULL asks for: NONE fails; DELETE, and FORMAT, which we never do, evict."""
    try:
        lines = engine.read_text(errors="replace").splitlines()
    except OSError:
        return WhenFull.FAIL
    value = ""
    for line in lines:  # the last one counts, as it does for the shell
        match = re.match(r"""\s*(?:export\s+)?ACTIONCACHEFULL=["']?(\w*)""", line, re.ASCII)
        value = match[1] if match else value
    return as_opengnsys(value)


def as_opengnsys(action: str) -> WhenFull:
    """What we do for an ACTIONCACHEFULL."""
    return WhenFull.EVICT if action in ("DELETE", "FORMAT") else WhenFull.FAIL
