"""The first seed: seeds every image that has its `.torrent`, and notices them come and go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ogtorrent.errors import BadName, HostileMetainfo
from ogtorrent.layout import Root, Sidecar
from ogtorrent.repository.publish import stands
from ogtorrent.swarm import metainfo
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.session import Session
from ogtorrent.swarm.torrent import Start, Torrent
from ogtorrent.watch import Changes

log = logging.getLogger(__name__)

Signature = tuple[int, int, int]


@dataclass(frozen=True)
class Seeded:
    signature: Signature
    torrent: Torrent | None  # None where the `.torrent` is not fit to seed


class Seeder:
    """Keeps `session` in step with the `.torrent` files of a tree. `run` ends only by cancellation."""

    def __init__(self, root: Root, session: Session, trackers: Sequence[str]) -> None:
        self._root = root
        self._session = session
        self._trackers = tuple(trackers)
        self._seeded: dict[Path, Seeded] = {}

    async def run(self, started: Callable[[], None]) -> None:
        def matters(_: object, path: str) -> bool:
            return path.endswith(Sidecar.TORRENT)

        async with Changes(self._root.path, matters) as changes:
            await self._survey()
            started()
            while True:
                await changes.wait(None)
                changes.seen()
                await self._survey()

    def images(self) -> list[Metainfo]:
        return [seeded.torrent.metainfo for seeded in self._seeded.values() if seeded.torrent is not None]

    async def _survey(self) -> None:
        found = await asyncio.to_thread(self._signatures)
        for path in [path for path, seeded in self._seeded.items() if found.get(path) != seeded.signature]:
            self._let_go(path)
        for path, signature in found.items():
            if path not in self._seeded:
                published = await asyncio.to_thread(self._read, path)
                self._seeded[path] = Seeded(signature, self._take_up(published))

    def _signatures(self) -> dict[Path, Signature]:
        found = {}
        for path in self._root.torrents():
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found[path] = (status.st_ino, status.st_size, status.st_mtime_ns)
        return found

    def _read(self, path: Path) -> Metainfo | None:
        """Metainfo that is ours and describes the image beside it; anybody else's is passed over."""
        try:
            published = metainfo.read(path)
            if published.image != self._root.image_of_torrent(path) or not stands(self._root, published):
                return None
        except (OSError, HostileMetainfo, BadName) as error:
            log.warning("%s is not seeded: %s", path, error)
            return None
        return published

    def _take_up(self, published: Metainfo | None) -> Torrent | None:
        if published is None:
            return None
        log.info("%s: seeding", self._root.called(published.image))
        return self._session.add(published, self._root.image(published.image), self._trackers, Start.WHOLE)

    def _let_go(self, path: Path) -> None:
        torrent = self._seeded.pop(path).torrent
        if torrent is not None:
            log.info("%s: no longer seeded", self._root.called(torrent.metainfo.image))
            self._session.remove(torrent)
