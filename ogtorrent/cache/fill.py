"""One image on its way into the cache: look, plan, fetch beside, verify, land."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from ogtorrent.cache import (
    absence,
    adoption,
    bootable,
    events,
    landing,
    multicast,
    records,
    removal,
    sources,
    versions,
)
from ogtorrent.cache.control import Tending
from ogtorrent.cache.inventory import Kind, cached, holdings
from ogtorrent.cache.options import Protocol
from ogtorrent.cache.order import Order
from ogtorrent.cache.partition import room
from ogtorrent.cache.plan import (
    Adopt,
    BringBack,
    Check,
    Fetch,
    InPlace,
    NoSpace,
    OtherForm,
    Plan,
    Room,
    UpToDate,
    plan,
)
from ogtorrent.cache.trouble import in_our_words, nobody
from ogtorrent.errors import CacheFull, NotWritable
from ogtorrent.fetch.partial import make_durable, prepare
from ogtorrent.fetch.safe import kept_safe, on_disk
from ogtorrent.fetch.sharing import Sharing
from ogtorrent.layout import name_in
from ogtorrent.swarm.session import Session
from ogtorrent.swarm.sidecars import write_sidecars
from ogtorrent.swarm.sight import Progress
from ogtorrent.swarm.torrent import DiskTrouble, Start, Torrent, places
from ogtorrent.words import words

# Seconds between looks at the room, and progress events: short while the peers come, then long.
FIRST_LOOK, TICK = 0.1, 1.0
PATIENCE = 120.0  # seconds without a byte before a fill is given up
MENDING = 30.0  # likewise, where an image is verified
LEFT_OVER = 10.0  # likewise, of what a disk of this PC did not give
REFUSED = 30.0  # likewise, where the tracker refuses: the repository has another version, perhaps
RATE_WINDOW = 5.0  # seconds over which a rate is told

Tell = Callable[[events.Event], None]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Company:
    """What else the seeder does with the cache."""

    tending: Callable[[], Tending]
    promised: Callable[[], int]  # bytes of the cache's room that fills have planned with and not used yet
    give_up: Callable[[Path], None]  # seed what stands there no more: it goes
    hold: Callable[[Path], AbstractContextManager[None]]  # nobody is to take up what stands there


class Fill:
    """`run` returns the torrent of an image that stands whole, still in the session."""

    def __init__(
        self, order: Order, session: Session, seeded: Torrent | None, company: Company, tell: Tell
    ) -> None:
        """`seeded`: what the session holds of this image's place already."""
        self.order = order
        self.whole = False  # from then on nobody may give the fill up
        self._session = session
        self._torrent = seeded
        self._company = company
        self._tell = tell
        self._started = time.monotonic()
        self._had = 0  # verified bytes before the first one was fetched
        self._shared = self._fetched = self._from_repository = 0
        self._multicast = 0  # bytes of what was fetched
        self._needed = 0  # bytes of room, as planned

    @property
    def torrent(self) -> Torrent | None:
        """What the session holds of the image now."""
        return self._torrent

    @property
    def promised(self) -> int:
        """Bytes of room that are still to be used."""
        return max(0, self._needed - self._fetched - self._shared)

    async def run(self) -> Torrent:
        """Raises OgtorrentError; then the session holds nothing of the image any more."""
        order = self.order
        self._tell(events.Started(str(order.metainfo.image), str(order.place), order.metainfo.size))
        try:
            await asyncio.to_thread(self._check_inside)
            torrent = await self._brought()
            await asyncio.to_thread(landing.tidy, order.root, order.metainfo.image)
            await asyncio.to_thread(self._record)
            await asyncio.to_thread(bootable.refresh, order.cache)
        except (DiskTrouble, NotWritable, OSError) as trouble:
            self._drop()
            raise in_our_words(self.order, trouble) from trouble
        except BaseException:
            self._drop()
            raise
        self.whole = True
        self._tell(
            events.Done(
                str(order.metainfo.image),
                str(order.place),
                order.metainfo.size,
                round(time.monotonic() - self._started, 3),
                self._fetched,
                self._fetched - self._from_repository,
                self._from_repository,
                order.options.seeding_seconds,
                self._shared,
            )
        )
        return torrent

    async def _brought(self) -> Torrent:
        order = self.order
        await asyncio.to_thread(versions.settle, order.root, order.metainfo.image)
        await asyncio.to_thread(adoption.adopt_unfinished, order.cache, order.root, order.metainfo)
        step = await self._plan(checked=False)
        if isinstance(step, Check):
            if await self._checked_in_place(step.mend):
                assert self._torrent is not None
                return self._torrent
            step = await self._plan(checked=True)
        while isinstance(step, Fetch | InPlace) and step.evict:
            await self._make_room(step)
            # What went may have shared its room with others.
            step = await self._plan(checked=True)
        match step:
            case UpToDate():
                if self._torrent is None:
                    self._torrent = self._add(self.order.place, Start.WHOLE)
                return self._torrent
            case OtherForm():
                self._drop()
                await asyncio.to_thread(write_sidecars, order.root, order.metainfo)
                return await self._brought()
            case BringBack():
                self._drop()
                await asyncio.to_thread(versions.rollback, self.order.root, self.order.metainfo.image)
                return await self._brought()
            case Adopt(other):
                place = other.image(order.metainfo.image)
                with self._company.hold(place):
                    self._company.give_up(place)
                    await asyncio.to_thread(adoption.adopt, order.cache, other, order.root, order.metainfo)
                return await self._brought()
            case NoSpace(needed, free, total):
                raise CacheFull(str(self.order.metainfo.image), needed, free, total)
            case InPlace(needed):
                self._say(step)
                self._needed = needed
                self._drop()
                await asyncio.to_thread(landing.step_aside, self.order.root, self.order.metainfo)
                return await self._fetch()
            case Fetch() | Check():
                self._needed = step.needed if isinstance(step, Fetch) else 0
                return await self._fetch()

    async def _plan(self, checked: bool) -> Plan:
        order = self.order
        found = await asyncio.to_thread(cached, order.root, order.metainfo.image)
        if found.partial and await asyncio.to_thread(order.metainfo.describes, order.place):
            # The power went in mid-landing: it stands, and what has the name of a download is the old
            # version, which changed places with it.
            found = replace(found, partial=0)
        free, total = room(order.cache)
        space = Room(max(0, free - self._company.promised()), total)
        other = await asyncio.to_thread(adoption.elsewhere, order.cache, order.root, order.metainfo)
        step = plan(order.metainfo, found, space, order.verify, checked, order.full, other)
        if not isinstance(step, NoSpace | InPlace):
            return step
        tending = self._company.tending()
        busy = {*tending.filling, *tending.held, order.laid_over} - {name_in(order.cache, order.place)}
        held = await asyncio.to_thread(lambda: list(holdings(order.cache, order.place, tending.taking, busy)))
        space = Room(space.free, space.total, held)
        return plan(order.metainfo, found, space, order.verify, checked, order.full)

    async def _make_room(self, step: Fetch | InPlace) -> None:
        self._say(step)
        for holding in step.evict:
            if holding.kind is Kind.IMAGE:
                self._company.give_up(holding.place)
            log.info("%s: gives its room to %s", holding.place, self.order.place)
            await asyncio.to_thread(removal.evict, holding)

    def _say(self, step: Fetch | InPlace) -> None:
        free, _ = room(self.order.cache)
        self._tell(removal.making_room(step, free))

    def _record(self) -> None:
        try:
            records.use(self.order.cache, name_in(self.order.cache, self.order.place), time.time())
        except NotWritable as error:  # the image stands, whatever is remembered of it
            log.warning("%s", error)

    async def _checked_in_place(self, mend: bool) -> bool:
        """Read what stands under the final name; True where it is the image, or is now."""
        wanted, place = self.order.metainfo, self.order.place
        self._drop()
        self._torrent = self._add(place, Start.CHECK)
        whole = await self._wait_until_checked(self._torrent)
        if not whole and not mend:  # an older version, perhaps: it stays until the new one stands
            self._drop()
            return False
        self._torrent.go_on()
        if not whole:
            await asyncio.to_thread(landing.doubt, wanted, place)
            await self._wait_until_whole(self._torrent)
            await self._torrent.flushed()
        # What was checked or mended got no new times yet, and perhaps no sidecars.
        await asyncio.to_thread(make_durable, wanted, place)
        await asyncio.to_thread(write_sidecars, self.order.root, wanted)
        return True

    async def _wait_until_checked(self, torrent: Torrent) -> bool:
        checking = asyncio.ensure_future(torrent.checked())
        try:
            while not (await asyncio.wait((checking,), timeout=TICK))[0]:
                self._tell(events.Checking(torrent.follow().done, torrent.metainfo.size))
            return checking.result()
        finally:
            checking.cancel()

    async def _fetch(self) -> Torrent:
        wanted, root = self.order.metainfo, self.order.root
        partial = await asyncio.to_thread(prepare, root, wanted)
        await asyncio.to_thread(absence.note, self.order)
        written = await asyncio.to_thread(on_disk, root, wanted)
        # The version before is seeded until what it has is shared: then nobody asks for it any more.
        before, self._torrent = self._torrent, None
        try:
            have = frozenset() if written else await self._share(partial)
        finally:
            if before is not None:
                self._session.remove(before)
        if self.order.protocol is Protocol.UNICAST:
            own = self.order.repository.files
            if wanted.is_single:  # its URL is the file's own (BEP 19)
                own += quote(f"{wanted.name}/{wanted.image}")
            self._torrent = self._session.add(wanted, partial, (), Start.FILL, written, have, (own,))
        else:
            received = self.order.protocol is Protocol.MULTICAST
            start = Start.RECEIVE if received else Start.FILL
            self._torrent = self._add(partial, start, written, have)
        async with kept_safe(root, self._torrent):
            if self.order.protocol is Protocol.MULTICAST:
                await self._receive(self._torrent)
            await self._wait_until_whole(self._torrent)
        if self.order.protocol is Protocol.UNICAST:  # from now on it is a seed like any other
            self._torrent.announce(self.order.trackers)
        await landing.land(root, self._torrent)
        await asyncio.to_thread(write_sidecars, root, wanted)
        return self._torrent

    async def _receive(self, torrent: Torrent) -> None:
        """Multicast first; the swarm mends when it is over."""
        if await self._wait_until_checked(torrent):
            return
        self._had = torrent.follow().done
        samples: deque[tuple[float, int]] = deque()

        def follow(brought: int) -> None:
            self._multicast = brought
            self._tell(self._told(torrent.follow(), samples, torrent.tracker_trouble))

        await multicast.bring(self.order, torrent, self._tell, follow)
        torrent.ask_the_swarm()

    async def _share(self, partial: Path) -> Collection[int]:
        """Copy what the cache has already; the pieces that need no check."""
        order = self.order
        guess = await asyncio.to_thread(sources.guess, order)
        standing = sources.standing(order)
        sharing = await asyncio.to_thread(Sharing, order.metainfo, partial, standing, guess)
        running = asyncio.ensure_future(asyncio.to_thread(sharing.run))
        try:
            while not (await asyncio.wait((running,), timeout=TICK))[0]:
                size = order.metainfo.size
                self._tell(events.Progress(sharing.shared, size, 0, 0, 0, 0, None, "", sharing.shared))
            return running.result()
        finally:
            sharing.stop()  # the partial is somebody else's as soon as this fill has ended
            await asyncio.wait((running,))
            self._shared = sharing.shared

    async def _wait_until_whole(self, torrent: Torrent) -> None:
        await self._wait_until_checked(torrent)
        if not self._multicast:
            self._had = torrent.follow().done
        samples: deque[tuple[float, int]] = deque()
        last_gain = time.monotonic()
        pause = FIRST_LOOK
        while not await torrent.whole(pause):
            pause = min(TICK, 1.5 * pause)
            progress = torrent.follow()
            now = time.monotonic()
            if samples and progress.done > samples[-1][1]:
                last_gain = now
            self._tell(self._told(progress, samples, torrent.tracker_trouble))
            patience = self._patience(torrent)
            if now - last_gain > patience or torrent.web_trouble:
                raise nobody(self.order, torrent, progress, patience)
        self._account(torrent.follow())

    def _patience(self, torrent: Torrent) -> float:
        if self.order.disk is not None:
            return LEFT_OVER
        return MENDING if self.order.verify else REFUSED if torrent.is_refused else PATIENCE

    def _told(self, progress: Progress, samples: deque[tuple[float, int]], tracker: str) -> events.Progress:
        self._account(progress)
        now = time.monotonic()
        samples.append((now, progress.done))
        while now - samples[0][0] > RATE_WINDOW:
            samples.popleft()
        seconds = samples[-1][0] - samples[0][0]
        rate = int((samples[-1][1] - samples[0][1]) / seconds) if seconds else 0
        left = round((progress.size - progress.done) / rate, 1) if rate else None
        from_seats = self._fetched - self._from_repository
        return events.Progress(
            progress.done,
            progress.size,
            rate,
            progress.peers,
            from_seats,
            self._from_repository,
            left,
            tracker,
            self._shared,
        )

    def _account(self, progress: Progress) -> None:
        # A peer that leaves takes along what it gave since the last look, a foreign seed even all: it
        # leaves whoever is whole.
        self._fetched = max(sum(progress.given.values()) + self._multicast, progress.done - self._had)
        self._from_repository = progress.given.get(self.order.repository.address, 0) + self._multicast

    def _check_inside(self) -> None:
        """A link in the cache must not lead a download, or what is mended in place, out of it."""
        order = self.order
        inside = order.cache.resolve()
        for path in (order.place.parent, *map(Path, places(order.metainfo, order.place))):
            if not path.resolve().is_relative_to(inside):
                raise NotWritable(path, words("a link leads out of the cache {cache}", cache=inside))

    def _add(self, place: Path, start: Start, written: bytes = b"", have: Collection[int] = ()) -> Torrent:
        return self._session.add(self.order.metainfo, place, self.order.trackers, start, written, have)

    def _drop(self) -> None:
        if self._torrent is not None:
            self._session.remove(self._torrent)
            self._torrent = None
