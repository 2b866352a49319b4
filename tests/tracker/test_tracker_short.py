"""The short way of an announce: nobody can tell it from aiohttp's but by the time it takes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web

from tests.tracker.conftest import Clock, tracking
from tracker import server
from tracker.http import short
from tracker.http.connections import Connections, Runner

Publish = Callable[..., bytes]
HOST = b"Host: tracker\r\n"
LIBTORRENT = HOST + b"User-Agent: libtorrent/2.0\r\nAccept-Encoding: gzip\r\nConnection: close\r\n"
BROWSER = HOST + b"Accept: text/html\r\nAccept-Language: es\r\nPragma: no-cache\r\n"


class Client:
    """One connection, and the answers on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def read(self) -> tuple[int, dict[bytes, bytes], bytes]:
        async with asyncio.timeout(10):
            line, *lines = (await self.reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[:-2]
            headers = dict(one.lower().split(b": ", 1) for one in lines)
            return (
                int(line.split()[1]),
                headers,
                await self.reader.readexactly(int(headers[b"content-length"])),
            )

    async def ask(self, data: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
        self.writer.write(data)
        return await self.read()

    async def is_closed(self) -> bool:
        async with asyncio.timeout(10):
            return await self.reader.read(1) == b""


@asynccontextmanager
async def connected(port: int, address: str = "127.0.0.9") -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


@pytest.fixture
async def port(tmp_path: Path, publish: Publish, without_pause: None) -> AsyncIterator[int]:
    publish("a")
    async with tracking(tmp_path) as (_, port):
        yield port


@pytest.fixture
def query(tmp_path: Path, publish: Publish) -> bytes:
    told = f"info_hash={quote(publish('a'))}&peer_id=-XX0001-abcdefghijkl&port=6881&left=5"
    return told.encode()


def get(query: bytes, headers: bytes = HOST, version: bytes = b"1.1") -> bytes:
    return b"GET /announce?%b HTTP/%b\r\n%b\r\n" % (query, version, headers)


def went_short(headers: dict[bytes, bytes]) -> bool:
    return b"server" not in headers  # aiohttp says its name


@pytest.mark.parametrize("more", [b"", b"&compact=0", b"&numwant=0", b"&event=stopped", b"&event=paused"])
@pytest.mark.parametrize("headers", [HOST, LIBTORRENT, BROWSER, b"Accept: */*\r\n" + HOST])
async def test_both_ways_say_the_same(port: int, query: bytes, headers: bytes, more: bytes) -> None:
    async with connected(port, "127.0.0.7") as seed:
        await seed.ask(get(query.replace(b"left=5", b"left=0").replace(b"abc", b"xyz")))
    answers = []
    # Twice by each, for only at the second time it is in already.
    for extra in (b"", b"", b"X-Long: 1\r\n", b"X-Long: 1\r\n"):
        async with connected(port) as client:
            status, told, body = await client.ask(get(query + more, headers + extra))
            assert went_short(told) == (not extra)
            answers.append((status, told[b"content-type"].partition(b";")[0], body))
            assert b"date" in told
    assert answers[1:] == [answers[1]] * 3
    assert answers[0][:2] == (200, b"text/plain")


@pytest.mark.parametrize(
    ("version", "headers", "stays"),
    [
        (b"1.1", HOST, True),
        (b"1.1", HOST + b"connection: Keep-Alive\r\n", True),
        (b"1.1", HOST + b"CONNECTION:close\r\n", False),
        (b"1.0", HOST, False),
        (b"1.0", HOST + b"Connection: close\r\n", False),
    ],
)
async def test_a_connection_stays_as_long_as_its_client_wants(
    port: int, query: bytes, version: bytes, headers: bytes, stays: bool
) -> None:
    async with connected(port) as client:
        _, told, _ = await client.ask(get(query, headers, version))
        assert went_short(told)
        if stays:
            assert (await client.ask(get(query)))[0] == 200
        else:
            assert told[b"connection"] == b"close"
            assert await client.is_closed()


@pytest.mark.parametrize(
    "unusual",
    [
        b"Expect: 100-continue\r\n",
        b"Content-Length: 0\r\n",
        b"Connection: close, keep-alive\r\n",
        b"X-Forwarded-For: 10.1.0.9\r\n",
        b"Accept: text/html\r\n folded\r\n",
        b"Accept: \xf1\r\n",
        b"Accept : a\r\n",
        HOST,
        b"Connection: close\r\nConnection: keep-alive\r\n",
    ],
)
async def test_what_a_header_may_mean_is_left_to_aiohttp(port: int, query: bytes, unusual: bytes) -> None:
    async with connected(port) as client:
        client.writer.write(get(query, HOST + unusual))
        async with asyncio.timeout(10):
            said = await client.reader.read(2000)
    assert b"\r\nServer: " in said or b"100 Continue" in said


async def test_a_refusal_says_why_on_a_connection_that_went_the_short_way(port: int, query: bytes) -> None:
    async with connected(port) as client:
        assert went_short((await client.ask(get(query)))[1])
        for wrong, why in ((b"port=0", b"port is not between"), (b"port=6881&info_hash=" + b"x" * 20, b"")):
            _, _, body = await client.ask(get(query.replace(b"port=6881", wrong)))
            assert why in body
        _, _, body = await client.ask(get(b"info_hash=" + b"x" * 20 + query[query.index(b"&") :]))
        assert b"is not published here" in body
        # What comes after that is answered still.
        assert b"complete" in (await client.ask(get(query)))[2]


async def test_requests_in_one_packet_and_in_pieces_are_all_answered(port: int, query: bytes) -> None:
    async with connected(port) as client:
        client.writer.write(get(query) * 3)
        assert [(await client.read())[0] for _ in range(3)] == [200] * 3
    async with connected(port) as client:
        asked = get(query)
        for start in range(0, len(asked), 40):
            client.writer.write(asked[start : start + 40])
            await asyncio.sleep(0)
        assert (await client.read())[0] == 200


async def test_a_torrent_that_comes_while_the_connection_is_open_is_found(
    port: int, query: bytes, publish: Publish
) -> None:
    async with connected(port) as client:
        await client.ask(get(query))
        later = publish("later")
        found = b"info_hash=" + quote(later).encode() + query[query.index(b"&") :]
        assert b"complete" in (await client.ask(get(found)))[2]


async def test_who_may_not_announce_is_told_so(tmp_path: Path, query: bytes) -> None:
    nobody = server.Networks([])
    async with tracking(tmp_path, networks=nobody) as (_, port), connected(port) as client:
        assert b"is in no network that may announce" in (await client.ask(get(query)))[2]


@dataclass
class House:
    """A tracker whose connections a test can look at, and whose clock it moves."""

    tracker: server.Tracker
    runner: Runner
    clock: Clock
    port: int


@pytest.fixture
async def house(tmp_path: Path, query: bytes) -> AsyncIterator[House]:
    clock = Clock()
    app = web.Application()
    tracker = server.attach(app, tmp_path)
    runner = Runner(app, connections=Connections(clock=clock, within=30), access_log=None)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    # What it accepts has it too: what is sent and not read fills it soon.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    await runner.serve(listener, partial(short.answering, tracker))
    yield House(tracker, runner, clock, listener.getsockname()[1])
    await runner.cleanup()


async def test_a_silent_connection_is_closed_and_all_are_at_the_end(house: House, query: bytes) -> None:
    connections = house.runner.connections
    async with connected(house.port) as early, connected(house.port) as late:
        assert went_short((await early.ask(get(query)))[1])
        house.clock.now += 20
        assert went_short((await late.ask(get(query)))[1])
        house.clock.now += 10
        connections.expire()
        assert await early.is_closed()
        assert connections.count == 1
        await house.runner.cleanup()
        assert await late.is_closed()


async def test_who_asks_and_takes_no_answer_is_cut_off(house: House, query: bytes) -> None:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    client.connect(("127.0.0.1", house.port))
    _, writer = await asyncio.open_connection(sock=client, limit=1)
    counts, connections = house.tracker.counts, house.runner.connections
    async with asyncio.timeout(30):
        while not connections.count:  # noqa: ASYNC110
            await asyncio.sleep(0)
        while connections.count:
            before = counts["http", "announce"]
            writer.write(get(query))
            # One in a packet.
            while counts["http", "announce"] == before and connections.count:  # noqa: ASYNC110
                await asyncio.sleep(0)
    writer.close()
