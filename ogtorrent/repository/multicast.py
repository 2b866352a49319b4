"""Multicast: seats join an image's session over HTTP, and udp-sender sends it to all of them once.

POST /multicast/aula1/win.img   join, or begin, the session of an image
GET  /multicast/aula1/win.img   how it stands; 404 where there is none

udpcast sends asynchronously, at the session's speed and with forward error correction: it waits for no
receiver. With acknowledgements the room has the speed of its worst port (one of 10 Mbit/s in a room of 100:
12.7 times the line-rate limit), and who is dropped for being slow costs everybody the retransmissions until
then. So the seats are counted here, and what a seat misses the swarm has.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aiohttp import web

from ogtorrent.errors import BadName, BadSession
from ogtorrent.layout import ImagePath, Root
from ogtorrent.multicast import Method, MulticastSession, assign, on_free_port
from ogtorrent.repository import sessions
from ogtorrent.repository.publisher import Publisher
from ogtorrent.repository.seats import Seats
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.words import words

log = logging.getLogger(__name__)

MOST = 4  # sessions at a time: each has a speed of its own, and a port has one
FEC = "8x8/128"  # OpenGnsys's: of 136 packets in a stripe, eight may be lost
HELLO, HELLOS = 200, 3  # milliseconds between two, by which the receivers find the sender, before it sends
HOPS = 16  # as OpenGnsys's senders have it, for rooms behind a router of multicast
REMEMBERED = 60.0  # seconds for which it is told how a session ended


class State(StrEnum):
    WAITING = "waiting"  # for more seats
    RUNNING = "running"
    SENT = "sent"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        return self in (State.SENT, State.FAILED)


@dataclass
class Cast:
    """An image's session while it lasts."""

    published: Metainfo
    session: MulticastSession
    interface: str  # the address of this host that its seats reach
    until: float  # monotonic seconds, when it begins with whoever is there
    seats: set[str] = field(default_factory=set)
    state: State = State.WAITING
    why: str = ""  # where it FAILED
    full: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def lasts(self) -> bool:
        return not self.state.is_over and bool(self.seats)

    def join(self, seat: str) -> None:
        self.seats.add(seat)
        if len(self.seats) >= self.session.clients:
            self.full.set()

    def leave(self, seat: str) -> None:
        """One that nobody waits for any more ends."""
        if self.state is State.WAITING:
            self.seats.discard(seat)
            if not self.seats:
                self.full.set()

    def told(self, now: float) -> dict[str, Any]:
        return {
            "session": str(self.session),
            "state": str(self.state),
            "seats": len(self.seats),
            "seconds": round(max(0.0, self.until - now), 1) if self.state is State.WAITING else 0,
            "why": self.why,
        }


class Refused(Exception):
    """A request that cannot be served; `status` as HTTP has it."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Multicast:
    """The sessions of a tree, one an image at a time."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._casts: dict[ImagePath, Cast] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def find(self, image: ImagePath) -> Cast | None:
        return self._casts.get(image)

    def join(self, published: Metainfo, seat: str, interface: str, wanted: MulticastSession | None) -> Cast:
        """The image's session, begun where there is none; `wanted`, or else the image's own. Raises Refused,
        BadSession."""
        cast = self._casts.get(published.image)
        if cast is None or not cast.lasts:
            # A PC takes one image at a time: however many it asks for, it holds one session up.
            for other in self._casts.values():
                other.leave(seat)
            cast = self._begin(published, interface, wanted)
        if cast.state is State.WAITING and cast.interface == interface:
            cast.join(seat)
        return cast

    def _begin(self, published: Metainfo, interface: str, wanted: MulticastSession | None) -> Cast:
        if shutil.which("udp-sender") is None:
            raise Refused(503, words("udp-sender is missing here: install the package udpcast"))
        running = [cast for cast in self._casts.values() if cast.lasts]
        if len(running) >= MOST:
            raise Refused(503, words("{count} images are being sent by multicast already", count=MOST))
        if published.is_directory:
            raise Refused(409, words("multicast carries one file, and the image is a directory"))
        session = wanted or sessions.kept(self._root, published.image)
        if session is None:  # on a disk that can only be read
            session = assign(str(published.image), ())
        free = on_free_port(session, {cast.session.port_base for cast in running})
        assert free is not None  # there are more ports than sessions
        cast = Cast(published, free, interface, time.monotonic() + free.wait)
        self._casts[published.image] = cast
        task = asyncio.create_task(self._serve(cast))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return cast

    async def _serve(self, cast: Cast) -> None:
        image = cast.published.image
        try:
            async with asyncio.timeout(cast.session.wait):
                await cast.full.wait()
        except TimeoutError:
            pass
        if not cast.seats:
            self._forget(cast)
            return
        cast.state = State.RUNNING
        log.info("%s: multicast to %d seats, %s", image, len(cast.seats), cast.session)
        cast.why = await self._send(cast)
        if cast.why:
            log.error("%s: multicast failed: %s", image, cast.why)
        else:
            log.info("%s: multicast sent", image)
        cast.state = State.FAILED if cast.why else State.SENT
        await asyncio.sleep(REMEMBERED)
        self._forget(cast)

    def _forget(self, cast: Cast) -> None:
        if self._casts.get(cast.published.image) is cast:
            del self._casts[cast.published.image]

    async def _send(self, cast: Cast) -> str:
        """Why it failed; empty where it did not."""
        path = self._root.image(cast.published.image)
        try:
            sender = await asyncio.create_subprocess_exec(
                *sender_command(cast.session, cast.interface),
                *("--file", str(path)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            return f"udp-sender: {error.strerror}"
        try:
            _, said = await sender.communicate()
        finally:
            if sender.returncode is None:
                sender.kill()  # it blocks SIGTERM while it sends
                await sender.wait()
        if sender.returncode == 0:
            return ""
        lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
        return f"udp-sender: {lines[-1][:200] if lines else sender.returncode}"

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def sender_command(session: MulticastSession, interface: str) -> list[str]:
    group = str(session.address)
    where = ["--mcast-rdv-address", group, "--mcast-data-address", group, "--ttl", str(HOPS)]
    if session.method is Method.BROADCAST:
        where = ["--broadcast"]
    duplex = "--half-duplex" if session.method is Method.HALF_DUPLEX else "--full-duplex"
    return [
        *("udp-sender", "--nokbd", "--no-progress", "--async", duplex),
        *("--interface", interface, "--portbase", str(session.port_base), *where),
        *("--max-bitrate", f"{session.speed}m", "--fec", FEC),
        *("--rexmit-hello-interval", str(HELLO), "--autostart", str(HELLOS)),
    ]


def attach(app: web.Application, publisher: Publisher, seats: Seats) -> None:
    """Add the routes of multicast to an application, which ends what is being sent with itself."""
    multicast = Multicast(publisher.root)

    async def join(request: web.Request) -> web.Response:
        try:
            published, wanted = _published(publisher, request), await _wanted(request)
            if wanted.get("info_hash", published.info_hash.hex()) != published.info_hash.hex():
                raise Refused(409, words("it has another version now"))
            given = wanted.get("session")
            session = None if given is None else MulticastSession.parse(str(given))
            cast = multicast.join(published, str(request.remote), _interface(request), session)
        except Refused as refusal:
            return web.json_response({"error": str(refusal)}, status=refusal.status)
        except BadSession as error:
            told = {"error": str(error), "session": error.given, "why": error.why}
            return web.json_response(told, status=400)
        return web.json_response(cast.told(time.monotonic()))

    async def look(request: web.Request) -> web.Response:
        try:
            cast = multicast.find(_published(publisher, request).image)
            if cast is None:
                raise Refused(404, words("nobody sends it"))
        except Refused as refusal:
            return web.json_response({"error": str(refusal)}, status=refusal.status)
        return web.json_response(cast.told(time.monotonic()))

    async def ending(_: web.Application) -> AsyncIterator[None]:
        yield
        await multicast.close()

    app.router.add_post("/multicast/{image:.+}", seats.only(join))
    app.router.add_get("/multicast/{image:.+}", seats.only(look))
    app.cleanup_ctx.append(ending)


def _published(publisher: Publisher, request: web.Request) -> Metainfo:
    try:
        entry = publisher.catalogue.get(ImagePath.parse(request.match_info["image"]))
    except BadName:
        entry = None
    if entry is None or entry.metainfo is None:
        raise Refused(404, words("it is not published"))
    return entry.metainfo


async def _wanted(request: web.Request) -> dict[str, Any]:
    """What a seat asks for; nothing in particular where it says nothing."""
    body = await request.read()
    try:
        wanted = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        wanted = None
    if not isinstance(wanted, dict):
        raise Refused(400, words("the request is no JSON object"))
    return wanted


def _interface(request: web.Request) -> str:
    """The address of this host that a seat reached: its interface is the seat's. Raises Refused."""
    name = request.transport.get_extra_info("sockname") if request.transport is not None else None
    address = str(name[0]).removeprefix("::ffff:") if name else ""
    if address.count(".") != 3:
        raise Refused(409, words("udpcast knows IPv4 alone; name the repository by such an address"))
    return address
