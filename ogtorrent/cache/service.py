"""The seeder of a cache as a service: seeds whatever whole image stands there, and follows the disk."""

from __future__ import annotations

import asyncio
import datetime
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from watchfiles import Change

from ogtorrent.cache import partition
from ogtorrent.cache.control import Home
from ogtorrent.cache.hours import Quiet
from ogtorrent.cache.inventory import standing_image
from ogtorrent.cache.process import log_to_stderr, stop_on_signals
from ogtorrent.cache.seeder import Seeder
from ogtorrent.errors import NoCache, NotWritable
from ogtorrent.layout import ImagePath, Root, Sidecar, cache_roots, overlay_roots
from ogtorrent.mounts.changes import Mounts
from ogtorrent.watch import ANYWAY, Changes, Standing

log = logging.getLogger(__name__)

TICK = 1.0  # seconds between looks at the clock, the disk and what lies idle
AGAIN = 5.0  # seconds after which a cache is looked for that no mount will announce
SELDOM = 60.0  # seconds after which blkid is asked again though nothing was mounted
SOON = 0.5  # seconds until a cache that went is looked for

Signature = tuple[int, int, int]


@dataclass(frozen=True)
class Service:
    """What was asked of a service."""

    named: Path | None  # the cache; None for the partition with the label
    address: str
    port: int
    upload_limit: int  # bytes a second; 0 for none
    quiet: Quiet | None
    clock: Callable[[], datetime.time] = lambda: datetime.datetime.now().time()


def run(service: Service) -> None:
    """Until Stop or SIGTERM. Raises CannotJoin where the address or port cannot be had."""
    log_to_stderr()
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    os.chdir("/")  # not on a disk that is to be unmounted
    asyncio.run(serve(service))


async def serve(service: Service) -> None:
    stop = stop_on_signals()
    told = ""
    with Mounts() as mounts:
        while not stop.is_set():
            why, seconds = await _seed(service, stop)
            if why and why != told:
                log.info("%s", why)
            told = why
            await mounts.wait(stop, seconds)


async def _seed(service: Service, stop: asyncio.Event) -> tuple[str, float]:
    """Seed the cache as long as it is there; where it is not, why, and when to look again, in seconds."""
    try:
        cache = await asyncio.to_thread(partition.find, service.named)
        standing = Standing.of(cache)
        home = Home(cache)
    except (NoCache, NotWritable) as error:
        return str(error), AGAIN if service.named is not None else SELDOM
    except OSError as error:  # it has gone since
        return str(error), AGAIN
    with home:
        lock = home.claim()
        if lock is None:
            return f"a seeder of the cache {cache} runs already; waiting for its end", AGAIN
        try:
            log.info("%s: this is the cache", cache)

            async def keep(seeder: Seeder) -> None:
                await Keeper(service, standing, seeder).run()

            await Seeder(cache, service.address, service.port, stop, service.upload_limit, keep).run(home)
        finally:
            os.close(lock)
    return "", SOON


class Keeper:
    """Keeps a seeder in step with the `.torrent` files of its cache and with the hours."""

    def __init__(self, service: Service, standing: Standing, seeder: Seeder) -> None:
        self._service, self._standing, self._seeder = service, standing, seeder
        self._seen: dict[Path, Signature] = {}  # of each `.torrent`, by its image's place
        self._refused: dict[Path, Signature] = {}  # whose image the disk would not give

    async def run(self) -> None:
        """Ends when the cache is gone."""
        try:
            await self._keep()
        except OSError as error:  # of the watch
            log.info("%s", error)
        log.info("%s: it is no longer there", self._standing.path)

    async def _keep(self) -> None:
        surveyed = -ANYWAY
        async with Changes(self._standing.path, self._matters) as changes:
            while self._standing.holds():
                if changes.seen() or time.monotonic() - surveyed >= ANYWAY or self._any_failed():
                    await self._survey()
                    surveyed = time.monotonic()
                self._keep_hours()
                self._seeder.session.close_idle_files()
                await changes.wait(TICK)
                await asyncio.sleep(0.1)  # what changes all the time is not looked at all the time

    def _any_failed(self) -> bool:
        return any(seeding.torrent.failed for seeding in self._seeder.seeding.values())

    async def _survey(self) -> None:
        found = await asyncio.to_thread(self._torrents)
        seeding = self._seeder.seeding
        left = await asyncio.to_thread(
            lambda: [place for place in seeding if not seeding[place].torrent.metainfo.describes(place)]
        )
        for place in seeding:
            failed = seeding[place].torrent.failed
            if failed and place in found:
                self._refused[place] = found[place][2]
            if failed or place in left or place not in found:
                self._let_go(place)
        self._seen = {place: signature for place, signature in self._seen.items() if place in found}
        self._refused = {place: signature for place, signature in self._refused.items() if place in found}
        for place, (root, image, signature) in found.items():
            if signature != self._refused.get(place):
                await self._take_up(place, root, image, signature)

    async def _take_up(self, place: Path, root: Root, image: ImagePath, signature: Signature) -> None:
        seeding = self._seeder.seeding.get(place)
        if seeding is not None and self._seen.get(place) == signature:
            return
        whole = await asyncio.to_thread(standing_image, root, image)
        if seeding is not None and (whole is None or whole.info_hash != seeding.torrent.metainfo.info_hash):
            self._let_go(place)
        if whole is not None:
            self._seen[place] = signature
            self._seeder.take_up(place, whole)
            self._keep_hours()

    def _let_go(self, place: Path) -> None:
        if place in self._seeder.seeding:  # it may have become a fill since
            log.info("%s: no longer seeded", place)
            self._seeder.drop(place)

    def _torrents(self) -> dict[Path, tuple[Root, ImagePath, Signature]]:
        found = {}
        try:
            for root in (*cache_roots(self._standing.path), *overlay_roots(self._standing.path)):
                for image in root.torrent_images():
                    try:
                        status = root.sidecar(image, Sidecar.TORRENT).stat()
                    except FileNotFoundError:
                        continue
                    signature = (status.st_ino, status.st_size, status.st_mtime_ns)
                    found[root.image(image)] = (root, image, signature)
        except OSError as error:
            log.error("cannot look at what there is: %s", error)
        return found

    def _keep_hours(self) -> None:
        """In quiet hours only what is being fetched is given, and what was ordered to be, for its time."""
        quiet = self._service.quiet is not None and self._service.quiet.holds(self._service.clock())
        now = time.monotonic()
        for seeding in self._seeder.seeding.values():
            seeding.torrent.rest(quiet and seeding.until <= now)

    def _matters(self, _: Change, path: str) -> bool:
        """Not what grows, nor what ogtorrent keeps for itself."""
        return "/." not in path.removeprefix(str(self._standing.path))
