"""The one seeder process of a cache: fills images, and seeds what stands."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ogtorrent.cache import control, events, versions
from ogtorrent.cache.control import Hold, Home, Look, Stop, Tending
from ogtorrent.cache.fill import Company, Fill, Tell
from ogtorrent.cache.inventory import cached
from ogtorrent.cache.leechers import Leechers
from ogtorrent.cache.options import Mode
from ogtorrent.cache.order import Order
from ogtorrent.cache.process import log_to_stderr, stop_on_signals
from ogtorrent.cache.reporter import Reporter
from ogtorrent.errors import ImageLocked, OgtorrentError
from ogtorrent.layout import name_in
from ogtorrent.swarm import policy
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.session import Session
from ogtorrent.swarm.torrent import Start, Torrent
from ogtorrent.words import words

log = logging.getLogger(__name__)

FIRST_CALL = 20.0  # seconds that a seeder waits for the command that started it
IDLE = 1.0  # seconds without work before it ends
LAST_WORDS = 1.0  # seconds that the end of a fill has to be reported, if nothing else keeps us

Listener = asyncio.Queue[events.Event]


@dataclass
class Running:
    """A fill, and the commands that follow it."""

    fill: Fill
    task: asyncio.Task[None]
    listeners: set[Listener] = field(default_factory=set)


@dataclass
class Seeding:
    torrent: Torrent
    session: Session
    until: float  # monotonic seconds; with a keeper it goes on after that
    reporting: asyncio.Task[None] | None  # to the server that it came from


def run(cache: Path, address: str, port: int) -> None:
    """Be the seeder of a cache, whose lock the caller has claimed. Raises CannotJoin."""
    log_to_stderr()
    with Home(cache) as home:

        async def seed() -> None:
            await Seeder(cache, address, port, stop_on_signals()).run(home)

        asyncio.run(seed())


class Seeder:
    """`run` ends on `stop`, which the command Stop sets, too, and when nothing is left to seed.

    With a `keeper`, which runs beside it and says what else is to be seeded, it ends with that instead, and
    what has been fetched is seeded until then, whatever was ordered; but for what a leecher took.
    """

    def __init__(
        self,
        cache: Path,
        address: str,
        port: int,
        stop: asyncio.Event,
        upload_limit: int = 0,
        keeper: Callable[[Seeder], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        """`upload_limit`: bytes a second; 0 for none."""
        self._cache, self._address, self._port, self._stop = cache, address, port, stop
        self._upload_limit, self._keeper = upload_limit, keeper
        self._fills: dict[Path, Running] = {}  # by the image's place
        self._seeding: dict[Path, Seeding] = {}
        self._only_taken: set[Path] = set()  # by a leecher: never to be seeded
        self._held: set[Path] = set()  # places whose files a command changes
        self._reporting: set[asyncio.Task[None]] = set()
        self._connections = 0
        self._busy_until = time.monotonic() + FIRST_CALL

    async def run(self, home: Home) -> None:
        """Raises CannotJoin where the address or port cannot be had."""
        async with contextlib.AsyncExitStack() as stack:
            self._session = Session(policy.seat(self._address, self._port, self._upload_limit))
            stack.push_async_callback(self._session.close)
            self._leechers = Leechers(self._address, stack)
            await self._session.port()
            self._session.meet_neighbours(self._address)
            await asyncio.to_thread(versions.settle_all, self._cache)
            server = await asyncio.start_unix_server(
                self._serve, sock=home.listen(), limit=control.LARGEST_REQUEST
            )
            async with server:
                await (self._until_done() if self._keeper is None else self._with(self._keeper(self)))
                server.close()
            for running in self._fills.values():
                running.task.cancel()
            await asyncio.gather(*(running.task for running in self._fills.values()), return_exceptions=True)
            await self._end_reports()
        log.info("ended")

    @property
    def session(self) -> Session:
        return self._session

    @property
    def fills(self) -> Collection[Path]:
        """The places of the images on their way."""
        return self._fills.keys()

    @property
    def seeding(self) -> Mapping[Path, Seeding]:
        """What is seeded, by its place; not what a leecher just took."""
        own = self._session
        return {place: seeding for place, seeding in self._seeding.items() if seeding.session is own}

    def take_up(self, place: Path, whole: Metainfo) -> None:
        """Seed what stands there, unless it has been taken up or is not to be seeded."""
        if any(place in places for places in (self._fills, self._seeding, self._only_taken, self._held)):
            return
        torrent = self._session.add(whole, place, whole.trackers, Start.WHOLE)
        # libtorrent has the hashes now; of a great image they are 300 KB, and a cache has many.
        torrent.metainfo = replace(whole, raw=b"")
        self._seeding[place] = Seeding(torrent, self._session, 0.0, None)
        log.info("%s: seeding", place)

    def drop(self, place: Path) -> None:
        seeding = self._take_back(place)
        seeding.session.remove(seeding.torrent)

    async def _until_done(self) -> None:
        while not self._stop.is_set():
            now = time.monotonic()
            self._end_what_is_over(now)
            if self._fills or self._seeding or self._connections or self._reporting:
                self._busy_until = now + IDLE
            elif now > self._busy_until:
                return
            await self._pause()

    async def _with(self, keeping: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(keeping)
        try:
            while not (self._stop.is_set() or task.done()):
                self._end_what_is_over(time.monotonic())
                await self._pause()
        finally:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), 0.25)

    def _end_what_is_over(self, now: float) -> None:
        for place in [place for place, seeding in self._seeding.items() if seeding.until <= now]:
            seeding = self._seeding[place]
            if self._keeper is None or seeding.session is not self._session:
                log.info("%s: its time as a seed is over", place)
                self.drop(place)
            elif seeding.reporting is not None:
                seeding.reporting.cancel()
                seeding.reporting = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            line = await reader.readline()
            if line:
                await self._answer(line, reader, writer)
        except ConnectionError:
            log.info("a command went away")
        except (OgtorrentError, ValueError, KeyError) as error:
            log.error("refused a request: %s", error)
            code = error.exit_code if isinstance(error, OgtorrentError) else OgtorrentError.exit_code
            with contextlib.suppress(ConnectionError):
                await _send(writer, events.Failed(str(error), code))
        finally:
            self._connections -= 1
            # The first call has come; from now on it is work that keeps the process.
            self._busy_until = time.monotonic() + IDLE
            writer.close()

    async def _answer(self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match control.decode(line, self._cache):
            case Stop():
                self._stop.set()
            case Look():
                writer.write(json.dumps(asdict(self._tending())).encode() + b"\n")
                await writer.drain()
            case Hold() as hold:
                await self._let_go(hold, reader, writer)
            case Order() as order:
                await self._follow(order, reader, writer)

    def _tending(self) -> Tending:
        company = {self._named(at): one.torrent.company() for at, one in self._seeding.items()}
        filling = {}
        for place, running in self._fills.items():
            torrent = running.fill.torrent
            filling[self._named(place)] = torrent.sight().done if torrent is not None else 0
        return Tending(
            {name: peers for name, (peers, _) in company.items()},
            {name: takers for name, (_, takers) in company.items()},
            filling,
            [self._named(place) for place in self._held],
        )

    def _promised(self) -> int:
        return sum(running.fill.promised for running in self._fills.values())

    def _named(self, place: Path) -> str:
        return name_in(self._cache, place)

    def _give_up(self, place: Path) -> None:
        """Another image needs the room of this one."""
        if place in self._seeding:
            self.drop(place)
            log.info("%s: gives up its room", place)

    @contextlib.contextmanager
    def _hold(self, place: Path) -> Iterator[None]:
        """Somebody changes the files there. Raises ImageLocked."""
        if place in self._fills or place in self._held:
            raise ImageLocked(name_in(self._cache, place), words("it is being brought into this cache"))
        self._held.add(place)
        try:
            yield
        finally:
            self._held.discard(place)

    async def _let_go(self, hold: Hold, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place = hold.root.image(hold.image)
        with self._hold(place):
            seeding = self._take_back(place) if place in self._seeding else None
            trackers = seeding.torrent.trackers if seeding is not None else []
            if seeding is not None:
                seeding.session.remove(seeding.torrent)
                log.info("%s: let go", place)
            writer.write(b"{}\n")
            await writer.drain()
            await reader.read()  # until the command has ended, however it did
            found = await asyncio.to_thread(cached, hold.root, hold.image)
            if seeding is not None and found.beside is not None and found.described:
                torrent = seeding.session.add(found.beside, place, trackers, Start.WHOLE)
                self._seeding[place] = Seeding(torrent, seeding.session, seeding.until, None)
                log.info("%s: taken up again", place)

    async def _follow(self, order: Order, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send a fill's events until it ends; a command that goes away gives it up, unless others follow."""
        running = self._fills.get(order.place)
        if order.place in self._held:
            raise ImageLocked(str(order.metainfo.image), words("it is being changed in this cache"))
        if running is None:
            info_hash = order.metainfo.info_hash
            if any(one.fill.order.metainfo.info_hash == info_hash for one in self._fills.values()):
                why = words("it is being brought into another tree of this cache")
                raise ImageLocked(str(order.metainfo.image), why)
            running = self._begin(order)
        elif running.fill.order.metainfo.info_hash != order.metainfo.info_hash:
            locked = ImageLocked(
                str(order.metainfo.image), words("another version of it is being fetched into this cache")
            )
            refused = Reporter(order, self._session, self._address, lambda: None)
            refused.hear(events.Failed(str(locked), locked.exit_code))
            self._start_reports(refused)
            raise locked
        listener: Listener = asyncio.Queue()
        running.listeners.add(listener)
        gone = asyncio.ensure_future(reader.read())
        try:
            while True:
                told = asyncio.ensure_future(listener.get())
                await asyncio.wait((told, gone), return_when=asyncio.FIRST_COMPLETED)
                if not told.done():
                    told.cancel()
                    return
                await _send(writer, told.result())
                if isinstance(told.result(), events.Done | events.Failed):
                    return
        finally:
            gone.cancel()
            running.listeners.discard(listener)
            if not running.listeners and not running.fill.whole and not running.task.done():
                log.info("%s: given up by its command", order.place)
                running.task.cancel()

    def _begin(self, order: Order) -> Running:
        log.info("%s: wanted from %s", order.place, order.repository)
        seeding = self._take_back(order.place) if order.place in self._seeding else None
        if order.options.mode is Mode.LEECHER:
            session = self._leechers.session
            self._only_taken.add(order.place)
        else:
            session = self._session
            self._only_taken.discard(order.place)
        seeded = seeding.torrent if seeding is not None else None
        if seeding is not None and seeding.session is not session:
            seeding.session.remove(seeding.torrent)
            seeded = None

        def tell(event: events.Event) -> None:
            for listener in running.listeners:
                listener.put_nowait(event)
            reporter.hear(event)

        fill = Fill(
            order, session, seeded, Company(self._tending, self._promised, self._give_up, self._hold), tell
        )
        reporter = Reporter(order, session, self._address, lambda: fill.torrent)
        reporting = self._start_reports(reporter)
        until = seeding.until if seeding is not None else 0.0
        filling = asyncio.ensure_future(self._fill(fill, session, until, tell, reporting))
        running = Running(fill, filling)
        self._fills[order.place] = running
        return running

    async def _fill(
        self, fill: Fill, session: Session, until: float, tell: Tell, reporting: asyncio.Task[None]
    ) -> None:
        order = fill.order
        try:
            torrent = await fill.run()
        except OgtorrentError as error:
            log.error("%s: %s", order.place, error)
            tell(events.Failed(str(error), error.exit_code))
        except Exception as error:
            log.exception("%s", order.place)
            tell(
                events.Failed(
                    words("unforeseen: {error}.", error=f"{type(error).__name__}: {error}"),
                    OgtorrentError.exit_code,
                )
            )
        except asyncio.CancelledError:
            reporting.cancel()
            raise
        else:
            log.info("%s: whole", order.place)
            until = max(until, time.monotonic() + max(LAST_WORDS, order.options.seeding_seconds))
            self._seeding[order.place] = Seeding(torrent, session, until, reporting)
        finally:
            del self._fills[order.place]

    def _take_back(self, place: Path) -> Seeding:
        seeding = self._seeding.pop(place)
        if seeding.reporting is not None:
            seeding.reporting.cancel()
        return seeding

    def _start_reports(self, reporter: Reporter) -> asyncio.Task[None]:
        reporting = asyncio.ensure_future(reporter.run())
        self._reporting.add(reporting)
        reporting.add_done_callback(self._reporting.discard)
        return reporting

    async def _end_reports(self) -> None:
        """What seeds has told it all; of a failure, perhaps of this instant, the server is to hear."""
        for place in list(self._seeding):
            self._take_back(place)
        if self._reporting:
            await asyncio.wait(self._reporting, timeout=LAST_WORDS)
        for reporting in self._reporting:
            reporting.cancel()
        await asyncio.gather(*self._reporting, return_exceptions=True)


async def _send(writer: asyncio.StreamWriter, event: events.Event) -> None:
    writer.write(events.encode(event).encode() + b"\n")
    await writer.drain()
