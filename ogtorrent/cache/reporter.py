"""Tells the server how a fill goes, every few seconds; no trouble with that ever reaches the fill."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import time
from collections.abc import Callable
from typing import Any

from ogtorrent.cache import events, link
from ogtorrent.cache.order import Order
from ogtorrent.cache.partition import room
from ogtorrent.cache.report import Machine, Moment, report
from ogtorrent.errors import CannotJoin
from ogtorrent.fetch.catalogue import printable
from ogtorrent.fetch.server import Server
from ogtorrent.swarm.session import Session
from ogtorrent.swarm.torrent import Torrent

log = logging.getLogger(__name__)

SHORTEST, USUAL, LONGEST = 1.0, 3.0, 60.0  # seconds between reports; the server says how many
ANSWER = 5.0  # seconds that it may take to hear one
LARGEST_ANSWER = 16 * 1024  # bytes
LAST_TRIES = 4  # to tell of a failure to a server that does not answer


class Unheard(Exception):
    """A report that was not taken, and whether the server is `there` and will not take the next either."""

    def __init__(self, why: str, there: bool) -> None:
        self.there = there
        super().__init__(why)


class Reporter:
    """Of one order. `run` tells what was `hear`d last, at once what ends the fill."""

    def __init__(
        self, order: Order, session: Session, address: str, torrent: Callable[[], Torrent | None]
    ) -> None:
        """`address`: by which the server knows this seat; `torrent`: the image's, while there is one."""
        self._order, self._session, self._torrent = order, session, torrent
        self._line = Line(order.repository, address)
        self._last: events.Event = events.Started(
            str(order.metainfo.image), str(order.place), order.metainfo.size
        )
        self._news = asyncio.Event()
        self._done = 0  # verified bytes, when it was last known
        self._before: Moment | None = None  # when it last reported

    def hear(self, event: events.Event) -> None:
        self._last = event
        if isinstance(event, events.Done | events.Failed):
            self._news.set()

    async def run(self) -> None:
        """Ends when a failure was told, or cannot be; else by cancellation."""
        unheard = 0
        try:
            while True:
                self._news.clear()
                failed = isinstance(self._last, events.Failed)
                try:
                    pause = await self._tell()
                    unheard = 0
                except Unheard as trouble:
                    if not unheard:
                        log.warning("%s hears no reports: %s", self._order.repository, trouble)
                    pause = min(LONGEST, USUAL * 2**unheard)
                    unheard += 1
                    failed = failed and (trouble.there or unheard >= LAST_TRIES)
                if failed:
                    return
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), pause)
        finally:
            self._line.hang_up()

    async def _tell(self) -> float:
        """Report; seconds until the next one is wanted. Raises Unheard."""
        try:
            async with asyncio.timeout(ANSWER):
                await self._line.connect()
            told = self._last
            report = await self._report(told)
            async with asyncio.timeout(ANSWER):
                next_one = await self._line.post(report)
        except TimeoutError:
            self._line.hang_up()
            raise Unheard(f"no answer in {ANSWER:.0f} s", there=False) from None
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:
            self._line.hang_up()
            raise Unheard(str(error) or "it hung up", there=False) from error
        # Whom its peers see is told by announces too; a seed's report is for a server that has restarted.
        return LONGEST if isinstance(told, events.Done) else next_one

    async def _report(self, told: events.Event) -> dict[str, Any]:
        work = await self._session.work()
        port = 0
        with contextlib.suppress(CannotJoin):
            port = await self._session.port()
        size = free = None
        with contextlib.suppress(OSError):
            free, size = room(self._order.cache)
        torrent = self._torrent()
        sight = torrent.sight() if torrent is not None else None
        if sight is not None:
            self._done = sight.done
        before, self._before = self._before, Moment(time.monotonic(), work, sight)
        machine = Machine(port, self._line.link, size, free)
        return report(self._order, told, self._done, machine, self._before, before)


class Line:
    """One connection to a server, from the own address, kept as long as the server keeps it."""

    def __init__(self, server: Server, address: str) -> None:
        self._server = server
        any_address = address in ("0.0.0.0", "::")
        self._from = None if any_address else (address, 0)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.link: int | None = None  # Mbit/s of the network port that it goes through

    async def connect(self) -> None:
        """Unless it stands already. Raises OSError."""
        if self._streams is not None and not self._streams[0].at_eof():
            return
        self.hang_up()
        self._streams = await asyncio.open_connection(
            self._server.address, self._server.port, local_addr=self._from, limit=LARGEST_ANSWER
        )
        self.link = link.speed(self._streams[1].get_extra_info("sockname")[0])

    async def post(self, told: dict[str, Any]) -> float:
        """Seconds until the server wants to hear again.

        Raises Unheard, OSError, EOFError, LimitOverrunError.
        """
        assert self._streams is not None
        reader, writer = self._streams
        body = json.dumps(told).encode()
        head = (
            "POST /api/v1/reports HTTP/1.1\r\n"
            f"Host: {self._server}\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode("latin-1", "replace") + body)
        await writer.drain()
        answer = await reader.readuntil(b"\r\n\r\n")
        status = re.match(rb"HTTP/1\.[01] ([0-9]{3})\b", answer)
        length = re.search(rb"\r\ncontent-length: *([0-9]{1,6}) *\r\n", answer, re.IGNORECASE)
        if status is None or length is None or int(length[1]) > LARGEST_ANSWER:
            self.hang_up()
            raise Unheard("what it answers is none", there=True)
        said = await reader.readexactly(int(length[1]))
        if status[1] != b"200":
            raise Unheard(f"HTTP {status[1].decode()}{_why(said)}", there=status[1] < b"500")
        return _next(said)

    def hang_up(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def _why(body: bytes) -> str:
    """A refusal's sentence, fit for a log."""
    try:
        why = json.loads(body)["error"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return ""
    return f": {printable(why, 200)}"


def _next(body: bytes) -> float:
    try:
        seconds = json.loads(body)["next"]
    except (ValueError, RecursionError, LookupError, TypeError):
        seconds = None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise Unheard("what it answers is none", there=True)
    return max(SHORTEST, min(LONGEST, seconds))
