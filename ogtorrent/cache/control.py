"""The socket between a command and the seeder of its cache: one request, then lines of events.

The seeder is a process of its own so that a command can end with its image's last byte while
the image goes on being seeded; it is started by the first command that needs it.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from ogtorrent.cache import events
from ogtorrent.cache.options import Full, Protocol, TorrentOptions, WhenFull
from ogtorrent.cache.order import Order
from ogtorrent.cache.process import launch
from ogtorrent.errors import CannotJoin, ImageLocked, OgtorrentError
from ogtorrent.fetch.server import Server
from ogtorrent.layout import ImagePath, Layout, Mirror, Root, cache_root, seeder_home, seeder_place
from ogtorrent.multicast import MulticastSession
from ogtorrent.swarm import metainfo
from ogtorrent.words import words

LARGEST_REQUEST = 32 * 1024 * 1024  # bytes of a line; metainfo comes in it
PEER_PORT = 6881  # that a seat listens on
START = 15.0  # seconds that a seeder may take to answer


@dataclass(frozen=True)
class Stop:
    """End the seeder; what it seeds stays in the cache."""


@dataclass(frozen=True)
class Look:
    """Tell what is seeded and filled now: one Tending."""


@dataclass(frozen=True)
class Hold:
    """Let go of an image whose files are to change, answer with an empty object, and touch it no more until
    the connection ends; what stands there whole then is seeded as before."""

    root: Root
    image: ImagePath


Request = Order | Stop | Look | Hold


@dataclass(frozen=True)
class Tending:
    """What a seeder is at; its keys are places relative to the cache."""

    seeding: dict[str, int]  # peers that are connected
    taking: dict[str, int]  # of those, the ones that want something of us
    filling: dict[str, int]  # verified bytes
    held: list[str]  # whose files a command changes


def encode(request: Request) -> bytes:
    match request:
        case Stop():
            fields: dict[str, Any] = {"do": "stop"}
        case Look():
            fields = {"do": "look"}
        case Hold():
            fields = {"do": "hold", "image": str(request.image), **_mirrored(request.root)}
        case Order():
            fields = {
                "do": "update",
                **_mirrored(request.root),
                "torrent": base64.b64encode(request.metainfo.raw).decode(),
                "options": str(request.options),
                "trackers": list(request.trackers),
                "repository": request.repository.address,
                "host": request.repository.host,
                "port": request.repository.port,
                "verify": request.verify,
                "seat": request.name,
                "when_full": str(request.full.action),
                "evict_seeded": request.full.evict_seeded,
                "laid_over": request.laid_over,
                "disk": None if request.disk is None else str(request.disk),
                "protocol": str(request.protocol),
                "session": None if request.session is None else str(request.session),
            }
    return json.dumps(fields).encode() + b"\n"


def _mirrored(root: Root) -> dict[str, str]:
    mirror = root.mirror
    return {"layout": str(mirror.layout), "name": mirror.name, "package": mirror.package}


def decode(line: bytes, cache: Path) -> Request:
    """Raises ValueError, KeyError or OgtorrentError where the line is no request."""
    fields = json.loads(line)
    if not isinstance(fields, dict):
        raise ValueError("a request is an object")
    if fields["do"] in ("stop", "look"):
        return Stop() if fields["do"] == "stop" else Look()
    root = cache_root(cache, Mirror(Layout(fields["layout"]), fields["name"], fields["package"]))
    if fields["do"] == "hold":
        return Hold(root, ImagePath.parse(fields["image"]))
    return Order(
        cache,
        root,
        metainfo.decode(base64.b64decode(fields["torrent"], validate=True), "the request"),
        TorrentOptions.parse(fields["options"]),
        tuple(fields["trackers"]),
        Server(fields["host"], fields["port"], fields["repository"]),
        fields["verify"],
        fields["seat"],
        Full(WhenFull(fields["when_full"]), fields["evict_seeded"]),
        fields["laid_over"],
        Protocol(fields["protocol"]),
        None if fields["session"] is None else MulticastSession.parse(fields["session"]),
        None if fields["disk"] is None else Path(fields["disk"]),
    )


class Home:
    """The directory of a cache's seeder, open. Its socket is reached through the descriptor: a
    path of more than 107 bytes is none for a Unix socket."""

    def __init__(self, cache: Path) -> None:
        """Raises OSError."""
        self.log = seeder_home(cache) / "seeder.log"
        self.path = seeder_place(cache)
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Home:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def claim(self) -> int | None:
        """Become the one seeder: a lock that lasts as long as the process; None where one runs."""
        lock = os.open(self.path / "seeder.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return lock

    def listen(self) -> socket.socket:
        """The seeder's socket; whoever claimed the home may take the place of a dead one."""
        (self.path / "seeder.sock").unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self._address)
        (self.path / "seeder.sock").chmod(0o600)
        listener.listen(64)
        listener.setblocking(False)
        return listener

    def connect(self) -> socket.socket | None:
        """A connection to the seeder that runs, if one does."""
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(self._address)
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            return None
        return connection

    @property
    def _address(self) -> str:
        return f"/proc/self/fd/{self._descriptor}/seeder.sock"


class Seeder:
    """A command's end: the seeder of a cache, started where none runs."""

    def __init__(self, cache: Path, address: str) -> None:
        self._cache, self._address = cache, address
        self._pid = 0  # of the seeder that we launched

    def start(self) -> None:
        """Start one if none runs; it comes up while the command asks the repository."""
        with Home(self._cache) as home:
            lock = home.claim()
            if lock is None:  # another command's
                return
            try:
                self._pid = launch(self._seed, "ogtorrent-seed", lock, home.log)
            finally:
                os.close(lock)  # the seeder has it now

    def _seed(self) -> None:
        from ogtorrent.cache import seeder  # with asyncio, which the command does without

        seeder.run(self._cache, self._address, PEER_PORT)

    def update(self, order: Order) -> Iterator[events.Event]:
        """Place an order and return its events to come, the last one Done or Failed. Raises CannotJoin."""
        return self._events(self._connected(), order)

    def _events(self, connection: socket.socket, order: Order) -> Iterator[events.Event]:
        with connection, connection.makefile("rb") as lines:
            connection.sendall(encode(order))
            for line in lines:
                event = events.decode(line)
                yield event
                if isinstance(event, events.Done | events.Failed):
                    return
        raise self._lost()

    def _connected(self) -> socket.socket:
        deadline = time.monotonic() + START
        while time.monotonic() < deadline:
            with Home(self._cache) as home:
                connection = home.connect()
            if connection is not None:
                return connection
            if self._ended():
                break
            if not self._pid:
                self.start()  # unless the other's, which we wait for, is still on its way
            time.sleep(0.005)
        raise self._lost()

    def _ended(self) -> int | None:
        """The exit code of the seeder that we launched; None while it runs, or where it is another's."""
        if not self._pid:
            return None
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if not pid:
            return None
        self._pid = 0
        return os.waitstatus_to_exitcode(status)

    def _lost(self) -> OgtorrentError:
        last = ""
        with Home(self._cache) as home, contextlib.suppress(OSError):
            last = home.log.read_text(errors="replace").strip().rpartition("\n")[2][-400:]
        return CannotJoin(
            words("the seeder of the cache"),
            words("it ended: {last}", last=last) if last else words("it ended"),
            words(
                "See {log} and run this again; what came is kept.",
                log=seeder_home(self._cache) / "seeder.log",
            ),
        )


def look(cache: Path) -> Tending | None:
    """What the seeder of a cache is at; None where none runs."""
    with Home(cache) as home:
        connection = home.connect()
    if connection is None:
        return None
    with connection, connection.makefile("rb") as lines:
        connection.sendall(encode(Look()))
        line = lines.readline()
    return Tending(**json.loads(line)) if line else None


@contextmanager
def held(cache: Path, root: Root, image: ImagePath) -> Iterator[None]:
    """Nobody else touches an image meanwhile: the seeder that runs lets go of it, and where none runs none
    begins. Raises ImageLocked, CannotJoin."""
    with Home(cache) as home:
        deadline = time.monotonic() + START
        while (lock := home.claim()) is None and (connection := home.connect()) is None:
            if time.monotonic() > deadline:
                raise CannotJoin(
                    words("the seeder of the cache"), words("it does not answer"), words("End its process.")
                )
            time.sleep(0.01)
    if lock is not None:
        try:
            yield
        finally:
            os.close(lock)
        return
    assert connection is not None
    with connection, connection.makefile("rb") as lines:
        connection.sendall(encode(Hold(root, image)))
        answer = json.loads(lines.readline() or b"{}")
        if "message" in answer:
            raise ImageLocked(str(image), words("it is being brought into this cache"))
        yield
        connection.shutdown(socket.SHUT_WR)
        lines.read()  # until what stands is seeded again


def stop(cache: Path) -> bool:
    """End the seeder of a cache and wait for its end; False where none runs."""
    with Home(cache) as home:
        connection = home.connect()
        if connection is None:
            return False
        with connection:
            connection.sendall(encode(Stop()))
            while connection.recv(4096):
                pass
        deadline = time.monotonic() + START
        while time.monotonic() < deadline:
            lock = home.claim()
            if lock is not None:
                os.close(lock)
                return True
            time.sleep(0.01)
    raise CannotJoin(words("the seeder of the cache"), words("it does not end"), words("End its process."))
