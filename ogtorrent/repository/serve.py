"""The server's one process: tracker, page, catalogue, publisher, first seed, opened and closed in order."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

import tracker.server
from ogtorrent.errors import CannotJoin
from ogtorrent.layout import Root
from ogtorrent.repository import catalogue
from ogtorrent.repository.addresses import announce_urls, own_announce_url
from ogtorrent.repository.publisher import Publisher
from ogtorrent.repository.seeder import Seeder
from ogtorrent.repository.writers import survive_lease_breaks
from ogtorrent.swarm import policy
from ogtorrent.swarm.session import Session

log = logging.getLogger(__name__)

LINGER = 0.5  # seconds that open HTTP connections get at the end


@dataclass(frozen=True)
class Served:
    """What runs, for whoever prints it."""

    root: Root
    address: str
    port: int
    peer_port: int
    trackers: Sequence[str]
    images: int


async def serve(
    root: Root,
    address: str,
    port: int,
    peer_port: int,
    announce: Sequence[str],
    ready: Callable[[Served], None],
) -> None:
    """Serve a root until SIGTERM or SIGINT; `ready` is called once, when seats may come.

    `announce` replaces the tracker's URLs that are found by themselves. Raises CannotJoin.
    """
    survive_lease_breaks()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    # The port is taken before the tree is looked at and answers after: a seat that comes early waits
    # in the backlog, and is never told that an image is unknown.
    listener = _bound(address, port)
    bound = listener.getsockname()[1]
    trackers = tuple(announce) or tuple(announce_urls(address, bound))
    app = web.Application()
    tracker.server.attach(app, root.path)
    publisher = Publisher(root, trackers)
    catalogue.attach(app, publisher)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=LINGER)
    await runner.setup()
    try:
        session = Session(policy.repository(address, peer_port))
        try:
            seeder = Seeder(root, session, [own_announce_url(address, bound)])
            surveyed, seeding = asyncio.Event(), asyncio.Event()
            # A worker that fails ends the server; it does not limp on.
            async with asyncio.TaskGroup() as group:
                workers = [group.create_task(publisher.run(surveyed.set))]
                await surveyed.wait()
                await web.SockSite(runner, listener).start()
                workers.append(group.create_task(seeder.run(seeding.set)))
                workers.append(group.create_task(session.keep_queue()))
                await seeding.wait()
                ready(Served(root, address, bound, await session.port(), trackers, len(seeder.images())))
                await stop.wait()
                log.info("ending: peers and trackers are told")
                for worker in workers:
                    worker.cancel()
        except ExceptionGroup as failures:
            if len(failures.exceptions) == 1:
                raise failures.exceptions[0] from None
            raise
        finally:
            await session.close()  # before the tracker, which is to hear `stopped`
    finally:
        await runner.cleanup()
        listener.close()
    log.info("ended")


def _bound(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(1024)  # a whole room may come at once
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise CannotJoin(
            f"the network on {address}:{port}",
            error.strerror or str(error),
            "Give another address with --listen, or end the program that holds it.",
        ) from error
    return listener
