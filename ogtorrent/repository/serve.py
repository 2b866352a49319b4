"""The server's one process: tracker, page, catalogue, publisher, first seed, opened and closed in order."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from aiohttp import web

import tracker.server
from ogtorrent.errors import CannotJoin, NotWritable
from ogtorrent.interfaces import own_networks
from ogtorrent.layout import Root, Tree
from ogtorrent.repository import catalogue, downloads, multicast, rooms
from ogtorrent.repository.addresses import announce_urls, own_announce_url
from ogtorrent.repository.console import routes as console
from ogtorrent.repository.kept import Kept
from ogtorrent.repository.mirror.mirroring import Mirroring
from ogtorrent.repository.mirror.shelf import Shelf
from ogtorrent.repository.opengnsys import routes as opengnsys
from ogtorrent.repository.overlays import Overlays, Worker
from ogtorrent.repository.publisher import Publisher
from ogtorrent.repository.seats import Seats
from ogtorrent.repository.seeder import Seeder
from ogtorrent.repository.token import Guard, Token
from ogtorrent.repository.writers import survive_lease_breaks
from ogtorrent.swarm import policy
from ogtorrent.swarm.session import Session
from ogtorrent.words import words

log = logging.getLogger(__name__)

LINGER = 0.5  # seconds that open HTTP connections get at the end


@dataclass(frozen=True)
class Wanted:
    """What to serve, and to whom.

    `announce` replaces the tracker's URLs that are found by themselves, and is written into the metainfo
    (BEP 12). `allow`: networks that may announce besides the private ones and those of this host's own
    interfaces.
    """

    root: Root
    address: str
    port: int
    peer_port: int
    announce: Sequence[str] = ()
    allow: Sequence[tracker.server.IPNetwork] = ()
    trust_proxy: Sequence[tracker.server.IPNetwork] = ()
    rooms: Mapping[tracker.server.IPNetwork, str] = field(default_factory=dict)
    store: str | None = None
    access_log: Path | None = None
    token: Token | None = None  # who knows it may change the repository over HTTP
    mirrors: Sequence[str | Path] = ()
    mirrored: Sequence[str] = ()  # globs of images; none are all
    single: bool = False  # images of one file in the form that OpenGnsys's seats can save


@dataclass(frozen=True)
class Served:
    """What runs, for whoever prints it."""

    root: Root
    address: str
    port: int
    peer_port: int
    trackers: Sequence[str]
    images: int


async def serve(wanted: Wanted, ready: Callable[[Served], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called once, when seats may come.

    Raises CannotJoin, and NotWritable for the access log.
    """
    survive_lease_breaks()
    if wanted.access_log is not None:
        try:
            tracker.server.record_every_request(wanted.access_log)
        except OSError as error:
            raise NotWritable.of(wanted.access_log, error) from error
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    # The port is taken before the tree is looked at and answers after: a seat that comes early waits
    # in the backlog, and is never told that an image is unknown.
    tcp, udp = bound(wanted.address, wanted.port)
    with tcp, udp:
        port = tcp.getsockname()[1]
        site = _attached(wanted, port)
        runner = tracker.server.Runner(
            site.app, largest_body=console.largest_body, access_log=None, shutdown_timeout=LINGER
        )
        await runner.setup()
        try:
            session = Session(policy.repository(wanted.address, wanted.peer_port))
            try:
                seeder = Seeder(wanted.root, session, [seeds_url(wanted, port)])
                answering = partial(tracker.server.serving, runner, site.tracking, tcp, udp)

                async def told() -> None:
                    images = len(seeder.images())
                    peer_port = await session.port()
                    ready(Served(wanted.root, wanted.address, port, peer_port, site.trackers, images))

                publishers = [site.publisher.run, *site.overlays.publishers()]
                seeders = [seeder.run, *site.overlays.seeders(session, [seeds_url(wanted, port)])]
                await _work(publishers, answering, seeders, session, site.mirroring, told, stop)
            finally:
                await session.close()  # before the tracker, which is to hear `stopped`
        finally:
            await runner.cleanup()
    log.info("ended")


@dataclass(frozen=True)
class _Site:
    """One application, and what is behind it; nothing runs yet."""

    app: web.Application
    trackers: Sequence[str]  # as the metainfo has them
    tracking: tracker.server.Tracker
    publisher: Publisher
    overlays: Overlays
    mirroring: Mirroring


def _attached(wanted: Wanted, port: int) -> _Site:
    """Every route in one application. Raises CannotJoin for the tracker's store."""
    trackers = tuple(wanted.announce) or tuple(announce_urls(wanted.address, port))
    app = web.Application()
    tracking = _tracker(app, wanted)
    kept = Kept(Tree(wanted.root))
    rooms.attach(app, kept, tracking.networks)
    # A mirror's images have their source's form, also after it was begun anew.
    publisher = Publisher(wanted.root, trackers, None if wanted.mirrors else wanted.single)
    shelf = Shelf(publisher, trackers)
    taking = partial(Session, policy.leecher(wanted.address, 0))
    mirroring = Mirroring(wanted.mirrors, wanted.mirrored, shelf, taking)
    catalogue.attach(app, publisher, shelf.notes)
    overlays = Overlays(kept, trackers)
    overlays.attach(app, tracking)
    _attach_guarded(app, wanted, kept, publisher, tracking.networks)
    return _Site(app, trackers, tracking, publisher, overlays, mirroring)


def _attach_guarded(
    app: web.Application,
    wanted: Wanted,
    kept: Kept,
    publisher: Publisher,
    networks: tracker.server.Networks,
) -> None:
    """The routes that not everybody may use."""
    guard = Guard(wanted.token, wanted.trust_proxy)
    console.attach(app, kept, publisher, guard)
    opengnsys.attach(app, publisher, guard)
    seats = Seats(networks, guard)
    multicast.attach(app, publisher, seats)
    downloads.attach(app, publisher, seats)


async def _work(
    publishers: Sequence[Worker],
    answering: Callable[[], AbstractAsyncContextManager[None]],
    seeders: Sequence[Worker],
    session: Session,
    mirroring: Mirroring,
    told: Callable[[], Awaitable[None]],
    stop: asyncio.Event,
) -> None:
    """Publish, answer and seed, in this order, until `stop`. A worker that fails ends all; none limps on."""
    try:
        async with AsyncExitStack() as doors, asyncio.TaskGroup() as group:
            workers = await _begun(group, publishers)
            await doors.enter_async_context(answering())
            workers += await _begun(group, seeders)
            workers.append(group.create_task(session.keep_queue()))
            workers.append(group.create_task(mirroring.run()))
            await told()
            await stop.wait()
            log.info("ending: peers and trackers are told")
            for worker in workers:
                worker.cancel()
    except ExceptionGroup as failures:
        if len(failures.exceptions) == 1:
            raise failures.exceptions[0] from None
        raise


async def _begun(group: asyncio.TaskGroup, workers: Sequence[Worker]) -> list[asyncio.Task[None]]:
    """Start them, and wait until each has looked at what there is."""
    started = [asyncio.Event() for _ in workers]
    tasks = [group.create_task(work(event.set)) for work, event in zip(workers, started, strict=True)]
    for event in started:
        await event.wait()
    return tasks


def seeds_url(wanted: Wanted, port: int) -> str:
    """Where the first seed announces itself: over loopback, and each seat gets it at the address it asks.

    But of several servers on one store each has a seed there.
    """
    return announce_urls(wanted.address, port)[0] if wanted.store else own_announce_url(wanted.address, port)


def _tracker(app: web.Application, wanted: Wanted) -> tracker.server.Tracker:
    known = networks(wanted)
    try:
        store = tracker.server.open_store(wanted.root.path, known, url=wanted.store)
        history = tracker.server.open_history(wanted.root.path)
    except tracker.server.StoreError as error:
        raise CannotJoin(
            words("the tracker's swarms"), str(error), words("Check --store and its server.")
        ) from error
    beside = [root.path for root in Tree(wanted.root).layers]
    return tracker.server.attach(
        app, wanted.root.path, beside=beside, networks=known, store=store, history=history
    )


def networks(wanted: Wanted) -> tracker.server.Networks:
    allowed = [*tracker.server.PRIVATE, *own_networks(), *wanted.allow]
    return tracker.server.Networks(allowed, wanted.trust_proxy, wanted.rooms)


def bound(address: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Raises CannotJoin."""
    try:
        return tracker.server.bind(address, port)
    except OSError as error:
        raise CannotJoin(
            words("the network on {place}", place=f"{address}:{port}"),
            error.strerror or str(error),
            words("Give another address with --listen, or end the program that holds it."),
        ) from error
