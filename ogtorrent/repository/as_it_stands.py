"""Serves a tree that is only read, such as a disk's: tracker, page, catalogue and first seed.

Nothing is hashed: what has no `.torrent` that fits is shown as refused. Seats use it as any repository.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack

from aiohttp import web

import tracker.server
from ogtorrent.layout import ImagePath, Root
from ogtorrent.removable.feeding import Feeding
from ogtorrent.removable.images import OnDisk
from ogtorrent.repository import catalogue
from ogtorrent.repository.addresses import announce_urls
from ogtorrent.repository.publisher import Entry, State
from ogtorrent.repository.serve import LINGER, Served, Wanted, bound, networks, seeds_url
from ogtorrent.swarm import policy
from ogtorrent.swarm.session import Session

log = logging.getLogger(__name__)


class _Shelf:
    """A disk as the catalogue shows a repository."""

    def __init__(self, feeding: Feeding) -> None:
        self._feeding = feeding

    @property
    def root(self) -> Root:
        return self._feeding.root

    @property
    def catalogue(self) -> dict[ImagePath, Entry]:
        return {image: _entry(standing) for image, standing in self._feeding.images().items()}


def _entry(standing: OnDisk) -> Entry:
    published = standing.metainfo
    # Without our stamp it says neither times nor sums, which a cache gives the image.
    if published is None or published.stamp is None:
        return Entry(standing.image, State.REFUSED, why=standing.why)
    return Entry(standing.image, State.READY, published.size, metainfo=published)


async def serve(wanted: Wanted, aside: Root | None, ready: Callable[[Served], None]) -> None:
    """Serve until SIGTERM, SIGINT or the end of the disk; `ready` is called once, when seats may come.

    `aside`: where `.torrent` files stand that the disk lacks. Raises CannotJoin, DiskGone.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tcp, udp = bound(wanted.address, wanted.port)
    with tcp, udp:
        port = tcp.getsockname()[1]
        trackers = tuple(wanted.announce) or tuple(announce_urls(wanted.address, port))
        app = web.Application()
        # Without a store or a history: they would be kept in the tree.
        tracking = tracker.server.attach(
            app,
            wanted.root.path,
            beside=[aside.path] if aside is not None else [],
            networks=networks(wanted),
        )
        async with AsyncExitStack() as stack:
            session = Session(policy.repository(wanted.address, wanted.peer_port))
            feeding = Feeding(wanted.root, session, [seeds_url(wanted, port)], aside)
            catalogue.attach(app, _Shelf(feeding), {})
            runner = tracker.server.Runner(app, access_log=None, shutdown_timeout=LINGER)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            stack.push_async_callback(session.close)  # before the tracker, which is to hear `stopped`
            started = asyncio.Event()
            work = asyncio.create_task(feeding.run(started.set))
            queue = asyncio.create_task(session.keep_queue())
            ends = asyncio.ensure_future(stop.wait())
            try:
                begun = asyncio.ensure_future(started.wait())
                await asyncio.wait((begun, work, ends), return_when=asyncio.FIRST_COMPLETED)
                begun.cancel()
                async with tracker.server.serving(runner, tracking, tcp, udp):
                    images = sum(one.metainfo is not None for one in feeding.images().values())
                    ready(Served(wanted.root, wanted.address, port, await session.port(), trackers, images))
                    await asyncio.wait((work, ends), return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    work.result()
            finally:
                for task in (work, queue, ends):
                    task.cancel()
                await asyncio.gather(work, queue, ends, return_exceptions=True)
    log.info("ended")
