"""Slow, huge and half-open connections are bounded, and nobody else is kept out by them."""

import asyncio
import gc
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.tracker.conftest import Clock
from tracker import server
from tracker.http.connections import LARGEST_REQUEST, LONGEST_LINE, WITHIN, Connections, Runner
from tracker.http.query import MOST_SCRAPED

LARGE = 32 * 2**20  # more than the kernel's buffers hold
BUFFER = 64 * 1024
HALF_A_REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n"
REQUEST = HALF_A_REQUEST + b"\r\n"

Until = Callable[..., Awaitable[None]]
Publish = Callable[..., bytes]


@dataclass
class Client:
    """One connection, spoken to byte by byte, that holds little itself."""

    sock: socket.socket

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(10):
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def read(self, size: int) -> bytes:
        """Read so many bytes, or what came before the end."""
        read = bytearray()
        with suppress(ConnectionError):
            async with asyncio.timeout(10):
                while len(read) < size:
                    some = await asyncio.get_running_loop().sock_recv(self.sock, size - len(read))
                    if not some:
                        break
                    read += some
        return bytes(read)

    async def get(self, request: bytes = REQUEST) -> tuple[int, bytes]:
        await self.send(request)
        return await self.answer()

    async def answer(self) -> tuple[int, bytes]:
        status, size = await self.head()
        return status, await self.read(size)

    async def head(self) -> tuple[int, int]:
        """The status, and the size of the body."""
        head = bytearray()
        while not head.endswith(b"\r\n\r\n"):
            byte = await self.read(1)
            assert byte, f"ended after {bytes(head)!r}"
            head += byte
        first, *lines = bytes(head).decode().split("\r\n")
        headers = dict(line.lower().split(": ") for line in lines if line)
        return int(first.split()[1]), int(headers["content-length"])

    async def is_closed(self) -> bool:
        """Wait for the end, and for nothing before it."""
        return await self.read(1) == b""

    async def send_until_cut(self, data: bytes, most: int) -> int:
        """How much the server let us send."""
        sent = 0
        with suppress(ConnectionError):
            while sent < most:
                await self.send(data)
                sent += len(data)
        return sent


@dataclass
class House:
    """A server with a few routes, its connections, and a clock that the test moves."""

    runner: Runner
    connections: Connections
    clock: Clock
    streamed: int = 0
    blocked: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def client(self, address: str = "127.0.0.1") -> AsyncIterator[Client]:
        with socket.socket() as sock:
            sock.setblocking(False)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                sock.setsockopt(socket.SOL_SOCKET, option, BUFFER)
            sock.bind((address, 0))
            await asyncio.get_running_loop().sock_connect(sock, self.runner.addresses[0])
            yield Client(sock)

    def pass_by(self, seconds: float) -> None:
        self.clock.now += seconds
        self.connections.expire()

    async def everything_sent_has_arrived(self) -> None:
        async with self.client() as other:
            assert await other.get() == (200, b"hello")


Open = Callable[..., Awaitable[House]]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    houses: list[House] = []

    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def block(request: web.Request) -> web.Response:
        houses[0].blocked.set()
        await houses[0].let_go.wait()
        return web.Response(text="at last")

    async def body(request: web.Request) -> web.Response:
        return web.Response(body=bytes(LARGE))

    async def file(request: web.Request) -> web.FileResponse:
        return web.FileResponse(large)

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(LARGE)})
        await response.prepare(request)
        for _ in range(LARGE // 2**16):
            await response.write(bytes(2**16))
            houses[0].streamed += 2**16
        return response

    async def stream_and_block(request: web.Request) -> web.StreamResponse:
        response = await stream(request)
        houses[0].blocked.set()
        await houses[0].let_go.wait()
        return response

    large = tmp_path / "large"
    large.touch()
    os.truncate(large, LARGE)

    async def open_house(
        app: web.Application | None = None, connections: Connections | None = None, **bounds: Any
    ) -> House:
        clock = Clock()
        if connections is None:
            connections = Connections(**({"clock": clock} | bounds))
        if app is None:
            app = web.Application()
            for route in (block, body, file, stream, stream_and_block):
                app.router.add_get(f"/{route.__name__}", route)
            app.router.add_get("/", hello)
        runner = Runner(app, connections=connections, access_log=None, shutdown_timeout=1)
        await runner.setup()
        listener = socket.create_server(("127.0.0.1", 0))
        # What it accepts has it too: what is sent and not read stays with its sender.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        await runner.serve(listener)
        houses.append(House(runner, connections, clock))
        return houses[-1]

    yield open_house
    for house in houses:
        house.let_go.set()
        await house.runner.cleanup()


@pytest.fixture
async def house(opened: Open) -> House:
    return await opened()


async def test_a_silent_connection_is_closed(opened: Open) -> None:
    house = await opened(within=0.1, clock=asyncio.get_running_loop().time)
    async with house.client() as client:
        assert await client.is_closed()
    # Once more: the alarm is set again when there is somebody to wait for.
    async with house.client() as client:
        assert await client.is_closed()


async def test_the_alarm_is_set_anew_for_who_had_time_left(opened: Open) -> None:
    looked = asyncio.Event()

    class Watched(Connections):
        def expire(self) -> None:
            super().expire()
            looked.set()

    clock = Clock()
    house = await opened(connections=Watched(within=0.05, clock=clock))
    async with house.client() as client:
        assert await client.get() == (200, b"hello")
        await looked.wait()
        clock.now += 1
        assert await client.is_closed()


@pytest.mark.parametrize("sent", [b"", HALF_A_REQUEST], ids=["silent", "half a request"])
async def test_a_half_open_connection_has_its_time(house: House, until: Until, sent: bytes) -> None:
    async with house.client() as client:
        await client.send(sent)
        await house.everything_sent_has_arrived()
        house.pass_by(WITHIN - 0.1)
        await client.send(REQUEST[len(sent) :])
        assert await client.answer() == (200, b"hello")
        house.pass_by(WITHIN - 0.1)
        await client.send(sent)
        await house.everything_sent_has_arrived()
        house.pass_by(0.1)
        assert await client.is_closed()


async def test_drops_of_a_request_win_no_time(house: House) -> None:
    async with house.client() as client:
        await client.send(HALF_A_REQUEST)
        for _ in range(3):
            await house.everything_sent_has_arrived()
            house.pass_by(WITHIN / 3)
            with suppress(ConnectionError):
                await client.send(b"X")
        assert await client.is_closed()


async def test_a_connection_is_kept_for_the_next_request(house: House) -> None:
    async with house.client() as client:
        for _ in range(4):
            assert await client.get() == (200, b"hello")
            house.pass_by(WITHIN - 1)
        house.pass_by(1)
        assert await client.is_closed()


async def test_half_open_connections_do_not_keep_a_seat_out(
    opened: Open, tmp_path: Path, publish: Publish, until: Until
) -> None:
    image = publish("aula1/a")
    app = web.Application()
    server.attach(app, tmp_path)
    house = await opened(app, most=8)
    query = f"info_hash={''.join(f'%{byte:02x}' for byte in image)}&peer_id={'p' * 20}&port=6881&left=1"
    announce = f"GET /announce?{query} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    flood = []
    try:
        for _ in range(5):
            for _ in range(10):
                flood.append(socket.create_connection(house.runner.addresses[0], timeout=5))
                flood[-1].sendall(HALF_A_REQUEST)
            async with house.client("127.0.0.2") as seat:
                status, reply = await seat.get(announce)
                assert (status, b"8:intervali" in reply) == (200, True)
            assert house.connections.count <= 8
        first = flood[0]
        first.setblocking(False)
        assert await Client(first).is_closed()
    finally:
        for sock in flood:
            sock.close()


async def test_the_longest_wait_makes_room(opened: Open, until: Until) -> None:
    house = await opened(most=3)
    async with house.client() as busy, house.client() as first, house.client() as second:
        await busy.send(REQUEST.replace(b"/", b"/block", 1))
        await house.blocked.wait()
        for client in (first, second, first):
            house.clock.now += 1
            assert await client.get() == (200, b"hello")
        async with house.client() as new:
            assert await new.get() == (200, b"hello")
            assert await second.is_closed()
            assert await first.get() == (200, b"hello")
            house.let_go.set()
            assert await busy.answer() == (200, b"at last")


async def test_who_is_served_is_not_closed_for_a_new_one(
    opened: Open, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    house = await opened(most=1, within=0.2, clock=asyncio.get_running_loop().time)
    async with house.client() as busy:
        await busy.send(REQUEST.replace(b"/", b"/block", 1))
        await house.blocked.wait()
        async with house.client() as new:
            assert await new.is_closed()

        async def the_log_says_so() -> bool:
            return "1 connections are open: 1 had to go" in caplog.text

        await until(the_log_says_so)
        house.let_go.set()
        assert await busy.answer() == (200, b"at last")
        assert await busy.is_closed()


async def test_who_left_before_the_answer_takes_no_place(opened: Open, until: Until) -> None:
    house = await opened(most=1)
    async with house.client() as busy:
        await busy.send(REQUEST.replace(b"/", b"/block", 1))
        await house.blocked.wait()

    async def it_is_gone() -> bool:
        return house.connections.count == 0

    await until(it_is_gone)
    house.let_go.set()
    async with house.client() as first, house.client() as second:
        assert await second.get() == (200, b"hello")
        assert await first.is_closed()
        assert house.connections.count == 1

    async def aiohttp_knows() -> bool:
        assert house.runner.server is not None
        return house.runner.server.connections == []

    await until(aiohttp_knows)


async def test_a_slow_client_hides_no_silent_one(house: House) -> None:
    async with house.client() as slow:
        await slow.send(REQUEST.replace(b"/", b"/body", 1))
        assert await slow.head() == (200, LARGE)
        async with house.client() as silent:
            await silent.send(HALF_A_REQUEST)
            await house.everything_sent_has_arrived()
            house.pass_by(WITHIN)
            assert await silent.is_closed()
        assert len(await slow.read(LARGE)) == LARGE


async def test_a_handler_has_all_its_time_once_the_client_took_what_it_wrote(house: House) -> None:
    async with house.client() as client:
        await client.send(REQUEST.replace(b"/", b"/stream_and_block", 1))
        assert await client.answer() == (200, bytes(LARGE))
        await house.blocked.wait()
        house.pass_by(WITHIN)
        house.pass_by(WITHIN)
        house.let_go.set()
        assert await client.get() == (200, b"hello")


@pytest.mark.parametrize("answer", ["body", "file", "stream"])
async def test_who_takes_no_answer_is_dropped(
    house: House, until: Until, caplog: pytest.LogCaptureFixture, answer: str
) -> None:
    async with house.client() as client:
        await client.send(f"GET /{answer} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert await client.head() == (200, LARGE)

        async def it_does_not_last() -> bool:
            house.pass_by(WITHIN)
            return house.connections.count == 0

        await until(it_does_not_last, 5)
        assert len(await client.read(LARGE)) < LARGE - BUFFER
        assert house.streamed < LARGE, "all of it was read into memory"
        # A handler that writes has the error itself, and aiohttp logs it.
        assert caplog.text == "" or answer == "stream"


@pytest.mark.parametrize("answer", ["body", "file", "stream"])
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
async def test_who_takes_its_answer_slowly_is_served_whole(
    house: House, answer: str, connection: str
) -> None:
    async with house.client() as client:
        await client.send(f"GET /{answer} HTTP/1.1\r\nHost: a\r\nConnection: {connection}\r\n\r\n".encode())
        assert await client.head() == (200, LARGE)
        left = LARGE
        while left:
            # Many times what the client's side holds: its server sees that some was taken.
            some = await client.read(min(left, 32 * BUFFER))
            assert some, f"cut {left} bytes before the end"
            left -= len(some)
            house.pass_by(WITHIN - 1)
        await house.everything_sent_has_arrived()
        house.pass_by(WITHIN)
        assert await client.is_closed()


async def test_a_large_body_is_refused(house: House) -> None:
    async with house.client() as client:
        status, said = await client.get(HALF_A_REQUEST + b"Content-Length: 1000000000000\r\n\r\n")
        assert (status, str(LARGEST_REQUEST) in said.decode()) == (413, True)
        house.pass_by(WITHIN)
        assert await client.is_closed()


@pytest.mark.parametrize(
    ("head", "more"),
    [
        (HALF_A_REQUEST + b"Content-Length: 1000000000000\r\n\r\n", b"x" * 4096),
        (HALF_A_REQUEST + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"x" * 4096 + b"\r\n"),
        (HALF_A_REQUEST, b"X-Long: " + b"x" * 8000 + b"\r\n"),
    ],
    ids=["body", "chunks", "headers"],
)
async def test_what_is_sent_without_end_is_not_read(house: House, head: bytes, more: bytes) -> None:
    most = 4 * 2**20
    async with house.client() as client:
        await client.send(head)
        sent = await client.send_until_cut(more, most)
    # The server's read of up to 256 KiB, and what the kernel holds at both ends.
    assert sent < LARGEST_REQUEST + 2**18 + 8 * BUFFER < most


async def test_a_small_body_is_nobodys_loss(house: House) -> None:
    async with house.client() as client:
        for _ in range(2 * LARGEST_REQUEST // 8192):
            body = b"Content-Length: 8192\r\n\r\n" + b"x" * 8192
            assert await client.get(HALF_A_REQUEST + body) == (200, b"hello")


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
async def test_a_body_is_not_unpacked(house: House, caplog: pytest.LogCaptureFixture, coding: bytes) -> None:
    packed = b"Content-Encoding: %b\r\nContent-Length: 5\r\n\r\nhello" % coding  # it is not
    async with house.client() as client:
        for _ in range(2):
            assert await client.get(HALF_A_REQUEST + packed) == (200, b"hello")
    assert caplog.text == ""


@pytest.mark.parametrize("path", [b"/", b"/nothing"])
async def test_who_expects_what_is_no_word_is_refused_and_no_fault(
    house: House, caplog: pytest.LogCaptureFixture, path: bytes
) -> None:
    request = REQUEST.replace(b"/", path, 1)
    async with house.client() as client:
        await client.send(request.replace(b"\r\n\r\n", b"\r\nExpect: 100-Continue\r\n\r\n"))
        assert await client.read(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await client.answer())[0] in (200, 404)
        status, _ = await client.get(request.replace(b"\r\n\r\n", b"\r\nExpect: \xff\r\n\r\n"))
        assert status == 417
    assert caplog.text == ""


@pytest.mark.parametrize("line", [b"CONNECT ", b"CONNECT xn--:80 HTTP/1.1", b"GET http://xn--/ HTTP/1.1"])
async def test_a_target_that_is_none_is_refused_and_no_fault(
    house: House, caplog: pytest.LogCaptureFixture, line: bytes
) -> None:
    async with house.client() as client:
        assert (await client.get(line + b"\r\nHost: a\r\n\r\n"))[0] == 400
        assert await client.is_closed()
    gc.collect()  # of a task that failed unheard it is told when it goes
    assert caplog.text == ""


async def test_the_largest_scrape_is_answered_and_a_longer_line_refused(
    opened: Open, tmp_path: Path, publish: Publish
) -> None:
    app = web.Application()
    server.attach(app, tmp_path)
    house = await opened(app)
    query = "&".join(["info_hash=" + "%ff" * 20] * MOST_SCRAPED)
    async with house.client() as client:
        status, reply = await client.get(f"GET /scrape?{query} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert (status, reply[:9]) == (200, b"d5:filesd")
        line = b"GET /scrape?" + b"x" * LONGEST_LINE
        status, _ = await client.get(line + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert status == 400


async def test_a_site_of_the_same_runner_is_served_as_ever(house: House) -> None:
    await web.TCPSite(house.runner, "127.0.0.1", 0).start()
    site, ours = house.runner.addresses
    assert site != ours
    with socket.socket() as sock:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, site)
        assert await Client(sock).get() == (200, b"hello")


async def test_cleanup_ends_the_idle_and_waits_for_the_busy(house: House) -> None:
    async with house.client() as idle, house.client() as busy:
        assert await idle.get() == (200, b"hello")
        await busy.send(REQUEST.replace(b"/", b"/block", 1))
        await house.blocked.wait()
        address = house.runner.addresses[0]
        cleanup = asyncio.create_task(house.runner.cleanup())
        assert await idle.is_closed()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        house.let_go.set()
        assert await busy.answer() == (200, b"at last")
        await cleanup
        assert house.runner.addresses == []
        assert await busy.is_closed()
        assert house.connections.count == 0


def test_as_many_connections_as_half_the_files_the_system_lets_it_open() -> None:
    asked = """
import json, resource
from tracker.http.connections import Connections
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 1000))
print(json.dumps([Connections().most, *resource.getrlimit(resource.RLIMIT_NOFILE)]))
"""
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert json.loads(said.stdout) == [500, 1000, 1000]
