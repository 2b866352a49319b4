"""The bounds of HTTP connections: how long one may keep the server waiting, how much it may send, how many.

aiohttp bounds a request line and a header, and what it does with a request it has. A connection that sends
no request, or one byte of it a minute, or takes no answer, it keeps for ever. `Runner` takes the place of
aiohttp's `AppRunner` and sites:

    runner = Runner(app, access_log=None)
    await runner.setup()
    await runner.serve(listener)
    ...
    await runner.cleanup()
"""

import asyncio
import logging
import resource
import socket
import struct
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from aiohttp import web
from yarl import URL

log = logging.getLogger(__name__)

# Seconds that a client has for its next request, or for taking any of its answer.
WITHIN = 30.0
# A scrape of query.MOST_SCRAPED info-hashes, each 71 bytes when all of it is percent-encoded; an announce
# is under 2 KB. aiohttp's own 8190 bytes would end a scrape at 115. One header keeps aiohttp's limit: a
# browser brings the cookies of everything else that this host serves.
LONGEST_LINE = 72 * 1024
# The line and all headers. Of a body nothing is wanted, so this is also what may come of one.
LARGEST_REQUEST = LONGEST_LINE + 16 * 1024
# Each half-open request costs at most LARGEST_REQUEST, and a classroom needs a few hundred connections.
MOST_CONNECTIONS = 4096
# As many wait to be accepted, or come in one turn of the event loop: more than a room that is switched on.
BACKLOG = 1024
_LEAST_BACKLOG = 128
# Seconds after which a connection that was shut down is closed, whatever it still does.
_CUT_OFF = 1.0
# struct tcp_info, linux/tcp.h: the bytes that the other side has acknowledged.
_BYTES_ACKED = struct.Struct("120xQ")
# What a client may expect.
_CONTINUE = "100-continue"
# The method of what is no request.
_NONE = "NONE"

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
# How many bytes the body of a request may have, where an application beside the tracker wants more.
LargestBody = Callable[[web.BaseRequest], int]
# Bytes of one read of a transport: so many come before anybody knows whose body it is.
_READ = 256 * 1024


# What answers a chunk of a connection, and whether the connection stays; None if aiohttp is to see it.
Answering = Callable[[bytes], tuple[bytes, bool] | None]
# The same for a new connection of this peername and sockname; None if aiohttp is to have all of it.
ShortWay = Callable[[Any, Any], Answering | None]


class Connections:
    """All connections of a server, and which of them wait for their client since when.

    A connection waits when no handler runs for it, and when a handler has to wait until the client takes
    more of the answer. `clock` counts seconds and never goes back.
    """

    def __init__(
        self,
        *,
        most: int | None = None,
        within: float = WITHIN,
        largest_request: int = LARGEST_REQUEST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = _most_connections() if most is None else most
        self.within = within
        self.largest_request = largest_request
        self.ahead = 0  # bytes more that a request may have before its handler has said what it may
        self._clock = clock
        self._open: set[_Connection] = set()
        # The longest wait comes first.
        self._waiting: OrderedDict[_Connection, None] = OrderedDict()
        self._alarm: asyncio.TimerHandle | None = None
        self._crowded_out = 0

    @property
    def count(self) -> int:
        return len(self._open)

    def wrap(
        self, http: Callable[[], asyncio.Protocol], short: ShortWay | None = None
    ) -> Callable[[], asyncio.Protocol]:
        """Make a protocol factory, for `loop.create_server`, of aiohttp's, and of the short way there."""
        return lambda: _Connection(self, http, short)

    def close(self) -> None:
        """Close those that aiohttp does not know of."""
        for connection in list(self._open):
            connection.close_if_short()

    def expire(self) -> None:
        """Close what has waited too long. An alarm of the event loop calls this when it is time."""
        now = self._clock()
        while self._waiting:
            connection = next(iter(self._waiting))
            if now - connection.since < self.within:
                break
            if connection.has_taken_more():
                self.wait_for(connection)
            else:
                self._close(connection)

    def admit(self, connection: "_Connection") -> bool:
        """Count a new connection in; the one that waits longest makes room for it."""
        if len(self._open) >= self.most:
            self._crowded_out += 1
            if not self._waiting:
                return False
            self._close(next(iter(self._waiting)))
        self._open.add(connection)
        self.wait_for(connection)
        if self._alarm is None:
            self._set_alarm(self.within)
        return True

    def wait_for(self, connection: "_Connection") -> None:
        """From now on it is the client's turn."""
        if connection in self._open:
            connection.since = self._clock()
            self._waiting[connection] = None
            self._waiting.move_to_end(connection)

    def work_for(self, connection: "_Connection") -> None:
        """From now on it is the server's turn."""
        self._waiting.pop(connection, None)

    def forget(self, connection: "_Connection") -> None:
        self._open.discard(connection)
        self._waiting.pop(connection, None)

    def _close(self, connection: "_Connection") -> None:
        # It no longer counts from here, not when the event loop has closed it: many may come in one turn.
        self.forget(connection)
        connection.cut()

    def _set_alarm(self, seconds: float) -> None:
        self._alarm = asyncio.get_running_loop().call_later(seconds, self._on_alarm)

    def _on_alarm(self) -> None:
        self._alarm = None
        if self._crowded_out:
            log.warning("%d connections are open: %d had to go for new ones", self.most, self._crowded_out)
            self._crowded_out = 0
        self.expire()
        if self._waiting:
            self._set_alarm(next(iter(self._waiting)).since + self.within - self._clock())
        elif self._open:
            self._set_alarm(self.within)


class _Connection(asyncio.Protocol):
    """Stands between a transport and aiohttp's protocol for it, which is made when it is needed."""

    __slots__ = (
        "_acked",
        "_answering",
        "_connections",
        "_handling",
        "_http",
        "_make_http",
        "_most",
        "_received",
        "_short",
        "_transport",
        "since",
    )

    _transport: asyncio.Transport

    def __init__(
        self, connections: Connections, http: Callable[[], asyncio.Protocol], short: ShortWay | None
    ) -> None:
        self.since = 0.0
        self._connections = connections
        self._make_http = http
        self._short = short
        self._answering: Answering | None = None
        # What a connection has that is not admitted, or goes the short way: nothing happens there.
        self._http = asyncio.Protocol()
        self._handling = False
        self._received = 0
        self._most = connections.largest_request
        self._acked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not self._connections.admit(self):
            transport.abort()
            return
        if self._short is not None:
            info = transport.get_extra_info
            self._answering = self._short(info("peername"), info("sockname"))
        if self._answering is None:
            self._go_the_long_way()

    def _go_the_long_way(self) -> None:
        self._answering = None
        self._http = self._make_http()
        self._http.connection_made(self._transport)

    def data_received(self, data: bytes) -> None:
        if self._answering is not None:
            if self._transport.get_write_buffer_size():  # it asks again, and takes no answers
                self.cut()
                return
            answer = self._answering(data)
            if answer is not None:
                self._transport.write(answer[0])
                self._connections.wait_for(self)
                if not answer[1]:
                    self._transport.close()
                return
            self._go_the_long_way()
        # Asked before it counts: a read of up to 256 KiB may hold many small requests.
        if self._received > self._most + (0 if self._handling else self._connections.ahead):
            self.cut()
            return
        self._received += len(data)
        self._http.data_received(data)

    def eof_received(self) -> bool | None:
        return self._http.eof_received()

    def pause_writing(self) -> None:
        self._connections.wait_for(self)
        self._http.pause_writing()

    def resume_writing(self) -> None:
        if self._handling:
            self._connections.work_for(self)
        self._http.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.forget(self)
        self._http.connection_lost(exc)

    def handler_starts(self, body: int) -> None:
        self._handling = True
        self._most = max(self._connections.largest_request, body)
        self._received = 0
        self._connections.work_for(self)

    def handler_ends(self) -> None:
        self._handling = False
        self._most = self._connections.largest_request
        self._connections.wait_for(self)

    def refuse_body(self, size: int) -> None:
        """Tell who announces a large body; who just sends one is cut off."""
        if size > self._most:
            refusal = web.HTTPRequestEntityTooLarge(self._most, size)
            refusal.force_close()
            raise refusal

    def has_taken_more(self) -> bool:
        """Whether an answer is on its way, and the client has taken some of it since the last look.

        The kernel holds megabytes of an answer, and a file goes past the transport: only what the client's
        side has acknowledged tells. A transport that does not read is sending a file, or is closing.
        """
        if self._transport.is_reading() and not self._transport.get_write_buffer_size():
            return False
        before, self._acked = self._acked, _acknowledged(self._transport)
        return self._acked != before

    def close_if_short(self) -> None:
        if self._answering is not None:
            self._transport.close()

    def cut(self) -> None:
        if self._transport.is_reading():
            self._transport.abort()
            return
        # asyncio sends a file with the socket alone, and would wait for ever on one closed under it. Shut
        # down it is an error there, and aiohttp closes the transport.
        with suppress(OSError):
            self._transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        asyncio.get_running_loop().call_later(_CUT_OFF, self._transport.abort)


async def _turns(request: web.BaseRequest, handler: Handle, largest_body: LargestBody) -> web.StreamResponse:
    """Tell the connection whose turn it is, and its client what it cannot have."""
    transport = request.transport
    connection = None if transport is None else transport.get_protocol()
    if not isinstance(connection, _Connection):
        return await handler(request)
    connection.handler_starts(largest_body(request))
    try:
        if request.method == _NONE:
            refusal = web.HTTPBadRequest()
            refusal.force_close()
            raise refusal
        if request.body_exists:
            connection.refuse_body(request.content_length or 0)
        if request.headers.get("Expect", _CONTINUE).lower() != _CONTINUE:
            # aiohttp's own refusal quotes it, and fails where it is no UTF-8.
            raise web.HTTPExpectationFailed
        return await handler(request)
    finally:
        connection.handler_ends()


def _request(make: Callable[..., web.BaseRequest], message: Any, *more: Any) -> web.BaseRequest:
    """Make a request, if only one to refuse: aiohttp parses targets that its request then fails at."""
    try:
        return make(message, *more)
    except (AttributeError, ValueError):  # `CONNECT` of nothing, http://xn--/
        return make(message._replace(method=_NONE, path="/", url=URL("/")), *more)


class Runner(web.AppRunner):
    """An AppRunner whose connections are bounded; `serve` takes the place of a site."""

    def __init__(
        self,
        app: web.Application,
        *,
        connections: Connections | None = None,
        largest_body: LargestBody | None = None,
        **settings: Any,
    ) -> None:
        # A body that nobody wants is not unpacked either: 88 KiB of gzip may be a hundred MiB.
        bounds = {"max_line_size": LONGEST_LINE, "auto_decompress": False}
        super().__init__(app, **bounds | settings)
        self.connections = Connections() if connections is None else connections
        self._largest_body = largest_body or (lambda request: 0)
        if largest_body is not None:
            self.connections.ahead = _READ
        self._listening: list[asyncio.Server] = []

    @property
    def addresses(self) -> list[Any]:
        listeners = (listener for server in self._listening for listener in server.sockets)
        return [*super().addresses, *(listener.getsockname() for listener in listeners)]

    async def serve(self, listener: socket.socket, short: ShortWay | None = None) -> None:
        """Answer at a bound socket, which `cleanup` closes. Comes after `setup`."""
        if self.server is None:
            raise RuntimeError("Runner.setup comes before Runner.serve")
        # What one turn accepts has its files before the loop has closed anything for it.
        backlog = max(_LEAST_BACKLOG, min(BACKLOG, self.connections.most // 4))
        factory = self.connections.wrap(self.server, short)
        loop = asyncio.get_running_loop()
        self._listening.append(await loop.create_server(factory, sock=listener, backlog=backlog))

    async def _make_server(self) -> web.Server:
        # Around the application, not a middleware within: some is answered before those are asked.
        server = await super()._make_server()
        server.request_handler = partial(
            _turns, handler=server.request_handler, largest_body=self._largest_body
        )
        server.request_factory = partial(_request, server.request_factory)
        return server

    async def cleanup(self) -> None:
        while self._listening:
            self._listening.pop().close()
        self.connections.close()
        await super().cleanup()


def _most_connections() -> int:
    """Half of the files that this process may open, once it may open all that the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, soft // 2)


def _acknowledged(transport: asyncio.Transport) -> int:
    try:
        told = transport.get_extra_info("socket").getsockopt(
            socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED.size
        )
        return int(_BYTES_ACKED.unpack(told)[0])
    except (OSError, struct.error):  # not TCP, or no Linux
        return -transport.get_write_buffer_size()
