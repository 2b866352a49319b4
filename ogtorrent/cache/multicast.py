"""Multicast first, swarm to mend: a seat receives what udp-sender sends to the whole room.

udp-receiver writes the image as a stream, and where packets were lost whatever it has there; each piece that
verifies goes into the torrent at once, which gives it to others meanwhile and asks nobody for anything. When
the stream ends, breaks off, or brings too little, the swarm brings the rest. So nobody waits for the worst
port, and a seat that came late has the others for seeds.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
import socket
import subprocess
import time
import urllib.parse
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ogtorrent.cache import events
from ogtorrent.cache.order import Order
from ogtorrent.errors import (
    BadSession,
    CannotJoin,
    MissingProgram,
    MulticastReceive,
    MulticastSend,
    NotARepository,
    RepositoryUnreachable,
)
from ogtorrent.fetch.catalogue import printable
from ogtorrent.multicast import Method, MulticastSession
from ogtorrent.swarm.torrent import Torrent
from ogtorrent.words import words

log = logging.getLogger(__name__)

RECEIVER, PACKAGE = "udp-receiver", "udpcast"
LOOK = 1.0  # seconds between looks at the session and at what came
SILENCE = 5  # seconds without a byte after which a sender is dead
HOPS = 16  # as the server sends
# Of the last PASSED pieces that passed, so many must have verified; else the port is not for multicast.
PASSED, ENOUGH = 64, 32
BUFFER = "4m"  # of the socket, where the kernel allows as much: a PC that is busy for a moment loses less
PIPE = 2**20  # bytes, as many as anybody may ask for
AHEAD = 16 * 2**20  # bytes that the disk may lag behind before the receiver has to wait, and loses some
LARGEST_ANSWER = 64 * 1024  # bytes of JSON

Tell = Callable[[events.Event], None]


@dataclass(frozen=True)
class Cast:
    """A session, as the server tells it."""

    session: MulticastSession
    state: str
    seats: int
    seconds: float
    why: str


async def bring(order: Order, torrent: Torrent, tell: Tell, follow: Callable[[int], None]) -> None:
    """Bring what multicast can into a torrent that asks nobody; `follow` is told its bytes now and then.

    Raises CannotJoin where nobody serves the session, MulticastSend, MulticastReceive, MissingProgram,
    BadSession, DiskTrouble.
    """
    if order.metainfo.is_directory:
        tell(events.BySwarm(words("multicast carries one file, and the image is a directory")))
        return
    if shutil.which(RECEIVER) is None:
        raise MissingProgram(RECEIVER, PACKAGE)
    cast = await asyncio.to_thread(_ask, order, True)
    if cast.state == "running":
        tell(events.BySwarm(words("the multicast session had begun already")))
        return
    receiver = Receiver(order, torrent, cast.session, int(cast.seconds) + 60)
    receiving = asyncio.ensure_future(asyncio.to_thread(receiver.run))
    try:
        if await _begun(order, cast, receiver, receiving, tell):
            while not (await asyncio.wait((receiving,), timeout=LOOK))[0]:
                follow(receiver.brought)
                if torrent.failed:  # which whoever waits for the image will hear
                    return
            receiving.result()
    finally:
        receiver.stop()
        await asyncio.wait((receiving,))
        follow(receiver.brought)
    if receiver.trouble:
        log.warning("%s: multicast ended early: %s", order.metainfo.image, receiver.trouble)
        tell(events.BySwarm(receiver.trouble))


async def _begun(
    order: Order, cast: Cast, receiver: Receiver, receiving: asyncio.Future[None], tell: Tell
) -> bool:
    """Wait until the first byte is there; False where the others have it, and we do not."""
    image = str(order.metainfo.image)
    heard = time.monotonic()  # from the server, that somebody is to send
    silent_since = None
    while not receiver.has_begun:
        tell(events.Gathering(cast.seats, cast.session.clients, cast.seconds))
        if (await asyncio.wait((receiving,), timeout=LOOK))[0] and not receiver.has_begun:
            raise MulticastReceive(image, receiver.trouble or words("udp-receiver ended"))
        now = time.monotonic()
        try:
            cast, heard = await asyncio.to_thread(_ask, order, False), now
        except (RepositoryUnreachable, NotARepository):
            if now - heard > SILENCE:
                raise _nobody(order, words("the repository does not answer any more")) from None
            continue
        if cast.state == "failed":
            raise MulticastSend(image, cast.why)
        silent_since = None if cast.state == "waiting" else silent_since or now
        over = cast.state == "sent" or (silent_since is not None and now - silent_since > SILENCE)
        if over and not receiver.has_begun:
            tell(events.BySwarm(words("multicast does not reach this PC")))
            return False
    return True


def _ask(order: Order, join: bool) -> Cast:
    """Raises CannotJoin, BadSession, RepositoryUnreachable, NotARepository."""
    path = f"/multicast/{urllib.parse.quote(str(order.metainfo.image))}"
    if join:
        wanted = {"info_hash": order.metainfo.info_hash.hex()}
        if order.session is not None:
            wanted["session"] = str(order.session)
        try:
            status, body = order.repository.post(path, json.dumps(wanted).encode(), LARGEST_ANSWER)
        except RepositoryUnreachable as error:
            raise _nobody(order, words("the repository does not answer")) from error
    else:
        status, body = order.repository.get(path, LARGEST_ANSWER)
    answer = _object(body)
    if status == 400 and "session" in answer:
        raise BadSession(_shown(answer["session"]), _shown(answer.get("why")))
    if status != 200:
        raise _nobody(order, _shown(answer.get("error", words("it answered HTTP {status}", status=status))))
    try:
        session = MulticastSession.parse(str(answer["session"]))
        seats, seconds = int(answer["seats"]), float(answer["seconds"])
        return Cast(session, str(answer["state"]), seats, seconds, _shown(answer["why"]))
    except (BadSession, ValueError, KeyError, TypeError) as error:
        raise NotARepository(
            str(order.repository), words("it speaks of a multicast session that is none")
        ) from error


def _object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    return answer if isinstance(answer, dict) else {}


def _shown(text: object) -> str:
    """What a server says, as a part of a sentence of ours."""
    return printable(text, 300).removesuffix(".")


def _nobody(order: Order, why: str) -> CannotJoin:
    return CannotJoin(
        words("the multicast session of {image!r}", image=str(order.metainfo.image)),
        why,
        words("What came is kept; run this again, or with --protocol torrent."),
    )


class Receiver:
    """udp-receiver, and its stream on the way into the torrent. `run` in a thread; `stop` from any."""

    def __init__(self, order: Order, torrent: Torrent, session: MulticastSession, patience: int) -> None:
        """Raises MulticastReceive. Should we be killed, it ends `patience` seconds after that."""
        self._wanted, self._torrent = order.metainfo, torrent
        self._hashes = order.metainfo.hashes()
        self._stopped = False
        self._given: deque[int] = deque()  # pieces that the torrent was given and has not stored yet
        self.has_begun = False
        self.brought = 0  # bytes
        self.trouble = ""  # why it brought less than all
        # It has a line for each packet of another sender's; what nobody reads must not hold it up.
        self._said, says = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self._process = subprocess.Popen(
                receiver_command(session, _own_address(order), patience),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=says,
            )
        except OSError as error:
            os.close(self._said)
            raise MulticastReceive(str(self._wanted.image), error.strerror or str(error)) from error
        finally:
            os.close(says)

    def stop(self) -> None:
        self._stopped = True
        self._process.kill()

    def run(self) -> None:
        assert self._process.stdout is not None
        said = b""
        with self._process, self._process.stdout as stream:
            try:
                with contextlib.suppress(PermissionError):  # a user has so many pages of pipes and no more
                    fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, PIPE)
                self._read(stream.fileno())
            finally:
                self._process.kill()
                with contextlib.suppress(BlockingIOError):
                    said = os.read(self._said, PIPE)
                os.close(self._said)
        lines = said.decode(errors="replace").split("\n")
        if not self.has_begun:
            self.trouble = next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")

    def _read(self, stream: int) -> None:
        passed: deque[bool] = deque(maxlen=PASSED)
        piece_buffer = bytearray(self._wanted.piece_length)
        for piece in range(self._wanted.pieces):
            data = memoryview(piece_buffer)[: self._wanted.length_of(piece)]
            if not self._fill(stream, data):
                if not self._stopped:
                    self.trouble = words("the sender fell silent")
                return
            passed.append(self._take(piece, data))
            if len(passed) == PASSED and sum(passed) < ENOUGH:
                self.trouble = words("too little of it reaches this PC")
                return

    def _fill(self, stream: int, data: memoryview) -> bool:
        filled = 0
        while filled < len(data):
            read = os.readv(stream, [data[filled:]])
            if read == 0:
                return False
            self.has_begun = True
            filled += read
        return True

    def _take(self, piece: int, data: memoryview) -> bool:
        """Whether the piece is there now, however it came."""
        if self._torrent.has(piece):
            return True
        if hashlib.sha1(data, usedforsecurity=False).digest() != self._hashes[piece]:
            return False
        self._torrent.take(piece, bytes(data))
        self.brought += len(data)
        self._given.append(piece)
        while len(self._given) * self._wanted.piece_length > AHEAD and not self._stopped:
            if self._torrent.has(self._given[0]):
                self._given.popleft()
            elif self._torrent.failed:
                break
            else:
                time.sleep(0.01)
        return True


def receiver_command(session: MulticastSession, interface: str, patience: int) -> list[str]:
    where = ["--mcast-rdv-address", str(session.address), "--ttl", str(HOPS)]
    return [
        *(RECEIVER, "--nokbd", "--no-progress", "--ignore-lost-data"),
        *("--interface", interface, "--portbase", str(session.port_base)),
        *("--rcvbuf", BUFFER),
        *([] if session.method is Method.BROADCAST else where),
        *("--start-timeout", str(patience), "--receive-timeout", str(SILENCE)),
    ]


def _own_address(order: Order) -> str:
    """The address by which this PC reaches the repository; nothing is sent."""
    address = order.repository.address
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.closing(socket.socket(family, socket.SOCK_DGRAM)) as probe:
        probe.connect((address, order.repository.port))
        return str(probe.getsockname()[0])
