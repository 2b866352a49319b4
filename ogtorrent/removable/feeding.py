"""Keeps a session in step with a disk: seeds every image that its `.torrent` fits, until the disk goes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from ogtorrent.errors import DiskGone
from ogtorrent.layout import ImagePath, Root, Sidecar
from ogtorrent.removable.images import OnDisk, Survey
from ogtorrent.swarm.session import Session
from ogtorrent.swarm.torrent import Start, Torrent
from ogtorrent.watch import ANYWAY, Changes, Standing
from ogtorrent.words import words

log = logging.getLogger(__name__)

TICK = 1.0  # seconds between looks at whether the disk is there
SETTLE = 0.1  # seconds between two surveys at least


class Feeding:
    """`run` ends by cancellation, or with DiskGone."""

    def __init__(
        self,
        root: Root,
        session: Session,
        trackers: Sequence[str] = (),
        aside: Root | None = None,
        rests: Callable[[], bool] = lambda: False,
    ) -> None:
        """`trackers`: of all images; without any, those that each `.torrent` names. `aside`: as of Survey."""
        self.root, self._aside = root, aside
        self._session, self._trackers, self._rests = session, tuple(trackers), rests
        self._survey = Survey(root, aside)
        self._found: dict[ImagePath, OnDisk] = {}
        self._torrents: dict[ImagePath, Torrent] = {}
        self._failed: dict[ImagePath, OnDisk] = {}  # as they were then

    def images(self) -> dict[ImagePath, OnDisk]:
        """What the disk has; of an image that turned out to be damaged no metainfo, but why."""
        found = dict(self._found)
        for image, torrent in self._torrents.items():
            if torrent.damaged:
                why = words("{damaged} of its bytes are not what was published", damaged=torrent.damaged)
                found[image] = replace(found[image], metainfo=None, why=why)
        return found

    async def run(self, started: Callable[[], None]) -> None:
        """`started` is called when the images that stand have been looked at. Raises DiskGone."""
        try:
            await self._keep(started)
        except OSError as error:  # of the watch, or of a look
            log.info("%s", error)
        finally:
            for image in list(self._torrents):
                self._let_go(image)
        raise DiskGone(self.root.path)

    async def _keep(self, started: Callable[[], None]) -> None:
        disk = Standing.of(self.root.path)
        surveyed = -ANYWAY
        async with AsyncExitStack() as stack:
            watched = [root.path for root in (self.root, self._aside) if root is not None]
            watches = [await stack.enter_async_context(Changes(path, _matters)) for path in watched]
            while await asyncio.to_thread(disk.holds):
                changed = [changes.seen() for changes in watches]
                if any(changed) or time.monotonic() - surveyed >= ANYWAY or self._any_failed():
                    self._follow(await asyncio.to_thread(self._survey.look))
                    surveyed = time.monotonic()
                    started()
                resting = self._rests()
                for torrent in self._torrents.values():
                    torrent.rest(resting)
                self._session.close_idle_files()  # an open file keeps the disk from being unmounted
                await watches[0].wait(TICK)
                await asyncio.sleep(SETTLE)

    def _any_failed(self) -> bool:
        return any(torrent.failed for torrent in self._torrents.values())

    def _follow(self, found: dict[ImagePath, OnDisk]) -> None:
        before, self._found = self._found, found
        for image, torrent in list(self._torrents.items()):
            if torrent.failed:
                self._failed[image] = before[image]
            if torrent.failed or found.get(image) != before[image]:
                self._let_go(image)
        for image in sorted(found):
            standing = found[image]
            if standing.metainfo is None:
                if before.get(image) != standing:
                    log.warning("%s: is not seeded: %s", standing.place, standing.why)
            elif image not in self._torrents and self._failed.get(image) != standing:
                trackers = self._trackers or standing.metainfo.trackers
                self._torrents[image] = self._session.add(
                    standing.metainfo, standing.place, trackers, Start.WHOLE
                )
                log.info("%s: seeding", standing.place)

    def _let_go(self, image: ImagePath) -> None:
        log.info("%s: no longer seeded", self.root.image(image))
        self._session.remove(self._torrents.pop(image))


def _matters(_: object, path: str) -> bool:
    return path.endswith(Sidecar.TORRENT)
