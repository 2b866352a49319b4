"""`cache seed --from`: a repository on a disk, or any mounted one, seeded by this PC as it stands."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os

from ogtorrent.cache.process import log_to_stderr, stop_on_signals
from ogtorrent.cache.service import AGAIN, Service
from ogtorrent.errors import DiskGone, NoDisk, UnknownRoot
from ogtorrent.layout import Root
from ogtorrent.mounts.changes import Mounts
from ogtorrent.removable.feeding import Feeding
from ogtorrent.removable.images import root_of
from ogtorrent.swarm import policy
from ogtorrent.swarm.session import Session

log = logging.getLogger(__name__)


def run(service: Service) -> None:
    """Seed what `service.named` has until SIGTERM or Ctrl-C; a disk that goes is waited for.

    Raises UnknownRoot, CannotJoin where the address or port cannot be had.
    """
    assert service.named is not None
    log_to_stderr()
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    root = root_of(service.named)
    os.chdir("/")  # not on a disk that is to be unmounted
    asyncio.run(_feed(service, root))


async def _feed(service: Service, root: Root) -> None:
    assert service.named is not None
    stop = stop_on_signals()
    session = Session(policy.seat(service.address, service.port, service.upload_limit))
    try:
        await session.port()
        session.meet_neighbours(service.address)
        with Mounts() as mounts:
            while not stop.is_set():
                try:
                    await _until_it_goes(service, root, session, stop)
                except DiskGone as error:
                    log.warning("%s", error)
                    await mounts.wait(stop, AGAIN)
                    root = await _back(service, mounts, stop) or root
    finally:
        await session.close()
    log.info("ended")


async def _back(service: Service, mounts: Mounts, stop: asyncio.Event) -> Root | None:
    assert service.named is not None
    while not stop.is_set():
        with contextlib.suppress(UnknownRoot, NoDisk, OSError):
            return await asyncio.to_thread(root_of, service.named)
        await mounts.wait(stop, AGAIN)
    return None


async def _until_it_goes(service: Service, root: Root, session: Session, stop: asyncio.Event) -> None:
    """Raises DiskGone."""
    log.info("%s: this is the repository", root.path)

    def rests() -> bool:
        return service.quiet is not None and service.quiet.holds(service.clock())

    feeding = asyncio.create_task(Feeding(root, session, rests=rests).run(lambda: None))
    ends = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((feeding, ends), return_when=asyncio.FIRST_COMPLETED)
        if feeding.done():
            feeding.result()
    finally:
        ends.cancel()
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
