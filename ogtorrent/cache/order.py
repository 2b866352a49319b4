"""What a command asks the seeder of its cache for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ogtorrent.cache.options import FAIL, Full, Protocol, TorrentOptions
from ogtorrent.fetch.server import Server
from ogtorrent.layout import Root
from ogtorrent.multicast import MulticastSession
from ogtorrent.swarm.metainfo import Metainfo


@dataclass(frozen=True)
class Order:
    """An image to bring into the cache, and how long to seed it."""

    cache: Path
    root: Root
    metainfo: Metainfo
    options: TorrentOptions
    trackers: Sequence[str]
    repository: Server
    verify: bool
    name: str  # of this PC, as people know it
    full: Full = FAIL
    laid_over: str = ""  # of an overlay, its image's name in the cache: that must not give its room
    protocol: Protocol = Protocol.TORRENT
    session: MulticastSession | None = None  # of multicast; the repository's own where it is None
    disk: Path | None = None  # where a disk of this PC has the image

    @property
    def place(self) -> Path:
        return self.root.image(self.metainfo.image)
