"""The tracker put together: the one door for programs that have it in them, and for `python -m tracker`."""

import logging
import random
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from aiohttp import web

from tracker.access import record_every_request
from tracker.allowlist import AllowList
from tracker.classroom.history import History
from tracker.http import frontend as http
from tracker.http import reports, short
from tracker.http.connections import BACKLOG, Runner
from tracker.look import routes
from tracker.networks import PRIVATE, IPNetwork, Listed, Networks, address_text
from tracker.request import RefusalError
from tracker.swarm.memory import MemoryStore
from tracker.swarm.state import State, StateError
from tracker.swarm.store import Store, StoreDownError
from tracker.swarm.valkey import ValkeyStore
from tracker.tracker import Tracker
from tracker.udp.frontend import UdpFrontEnd
from tracker.watch import Watch

# How often to look for a port that is free for both.
_TRIES = 20

STATE_FILE = ".tracker.sqlite"

__all__ = [
    "PRIVATE",
    "STATE_FILE",
    "History",
    "IPNetwork",
    "Listed",
    "Networks",
    "Runner",
    "StoreError",
    "Tracker",
    "asking",
    "attach",
    "bind",
    "open_history",
    "open_store",
    "record_every_request",
    "serving",
]

log = logging.getLogger(__name__)

T = TypeVar("T", State, History)


def attach(
    app: web.Application,
    folder: Path,
    *,
    beside: Sequence[Path] = (),
    networks: Networks | None = None,
    store: Store | None = None,
    history: History | None = None,
    clock: Callable[[], float] | None = None,
    wall: Callable[[], float] = time.time,
    rng: random.Random | None = None,
) -> Tracker:
    """Make `app` the tracker of the `.torrent` files below `folder`, and, not shown, of those `beside` it.

    Adds the routes of announces, of the page and of `/api/v1/`, `/health` and `/metrics`. When the
    application has started (`AppRunner.setup` has returned) the folder has been read and every torrent in it
    is served; a folder that cannot be read raises OSError there. Swarms are kept in memory, and nothing of
    them over a restart, unless there is a `store`; so are deployments, unless there is a `history`. `clock`
    takes the place of the store's, `wall` that of the time of day.
    """
    networks = networks or Networks()
    store = store or MemoryStore(rng or random.Random(), networks.room_of, State())
    allow_list, clock = AllowList(folder, beside), clock or store.clock
    watch = Watch(allow_list, store, networks, history or History(), clock, wall)
    tracker = Tracker(allow_list, store, networks, watch, clock)

    async def running(app: web.Application) -> AsyncIterator[None]:
        async with tracker.running():
            yield

    app.cleanup_ctx.append(running)
    http.attach(app, tracker)
    reports.attach(app, tracker)
    routes.attach(app, tracker)
    return tracker


def asking(tracker: Tracker, request: web.Request) -> str | None:
    """The address that a request is from, maybe through a trusted proxy; None where it may not announce."""
    try:
        return address_text(http.source_of(tracker, request, None).address)
    except RefusalError:
        return None


def bind(address: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A listening TCP socket and a UDP socket on one address and port; port 0 is any. Raises OSError.

    `::` is every address, those of IPv4, too.
    """
    for left in reversed(range(_TRIES)):
        tcp = _socket(address, port, socket.SOCK_STREAM)
        try:
            udp = _socket(address, tcp.getsockname()[1], socket.SOCK_DGRAM)
        except OSError:
            tcp.close()
            if port or not left:
                raise
            continue
        tcp.listen(BACKLOG)
        return tcp, udp
    raise AssertionError("the last try returns or raises")


@asynccontextmanager
async def serving(
    runner: Runner, tracker: Tracker, tcp: socket.socket, udp: socket.socket
) -> AsyncIterator[None]:
    """Answer on both sockets while the block runs; the runner is set up before and cleaned up after."""
    async with UdpFrontEnd(tracker, udp, await tracker.store.secret()).running():
        await runner.serve(tcp, partial(short.answering, tracker))
        yield


def _socket(address: str, port: int, kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    try:
        if kind is socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if made.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address != "::")
        made.setblocking(False)
        made.bind((address, port))
    except OSError:
        made.close()
        raise
    return made


class StoreError(Exception):
    """The swarms cannot be kept where somebody wants them: where, and why."""


def open_store(
    folder: Path, networks: Networks, *, state: Path | None = None, url: str | None = None
) -> Store:
    """The swarms: in Valkey at `url`, or in memory, with what outlasts a restart in `state`.

    By default that is in the folder, if it can be. Raises StoreError.
    """
    if url is not None:
        try:
            return ValkeyStore(url, random.Random(), networks.room_of)
        except (StoreDownError, ValueError) as error:
            raise StoreError(str(error)) from error
    try:
        kept = State(state) if state is not None else _or_in_memory(State, folder)
    except StateError as error:
        raise StoreError(str(error)) from error
    return MemoryStore(random.Random(), networks.room_of, kept)


def open_history(folder: Path, state: Path | None = None) -> History:
    """The deployments of years, in the file of the state, by default in the folder. Raises StoreError."""
    try:
        return History(state) if state is not None else _or_in_memory(History, folder)
    except StateError as error:
        raise StoreError(str(error)) from error


def _or_in_memory(made: Callable[..., T], folder: Path) -> T:
    try:
        return made(folder / STATE_FILE)
    except StateError as error:
        log.warning("%s; it is kept until the tracker ends", error)
        return made()
