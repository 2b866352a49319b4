"""A real tracker on a free port, a clock that the test moves, and a client that speaks raw announces."""

import asyncio
import hashlib
import logging
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import bencode2
import pytest
from aiohttp import web
from multidict import CIMultiDict
from valkeys import Server
from yarl import URL

from tests.tracker import seeds
from tracker import access, allowlist, server
from tracker.http.connections import Connections
from tracker.networks import Networks
from tracker.tracker import Tracker

PIECE = 64 * 1024

# Seconds. ctorrent waits fifteen before its goodbye, Transmission ten between two looks at its trackers.
CLIENTS_PATIENCE = 60

Headers = Iterable[tuple[str, str]]
Heard = Callable[[str], Awaitable[None]]


def info(name: str, size: int = 10 * PIECE, **more: Any) -> dict[bytes, Any]:
    """A v1 info dictionary; its pieces are the name, so each name has its own hash."""
    return {
        b"length": size,
        b"name": b"images",
        b"piece length": PIECE,
        b"pieces": hashlib.sha1(name.encode()).digest(),
    } | {key.replace("_", " ").encode(): value for key, value in more.items()}


@pytest.fixture
def publish(tmp_path: Path) -> Callable[..., bytes]:
    """Write `NAME.torrent` below the folder; returns its v1 info-hash."""

    def write(name: str, size: int = 10 * PIECE, **more: Any) -> bytes:
        described = info(name, size, **more)
        path = tmp_path / f"{name}.torrent"
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.tmp")
        aside.write_bytes(bencode2.bencode({b"announce": b"http://127.0.0.1/announce", b"info": described}))
        aside.rename(path)
        return hashlib.sha1(bencode2.bencode(described)).digest()

    return write


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_790_000_000 + self.now


@dataclass
class Room:
    """The tracker under test and the doors a client has."""

    port: int
    clock: Clock
    session: aiohttp.ClientSession
    tracker: Tracker
    from_address: dict[str, aiohttp.ClientSession] = field(default_factory=dict)

    async def __aenter__(self) -> "Room":
        return self

    async def __aexit__(self, *failure: object) -> None:
        for session in self.from_address.values():
            await session.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def get(self, target: str) -> tuple[int, bytes, dict[str, str]]:
        async with self.session.get(URL(self.url + target, encoded=True)) as reply:
            return reply.status, await reply.read(), dict(reply.headers)

    async def announce(
        self, info_hash: bytes, seat: int = 2, headers: Headers = (), **parameters: object
    ) -> dict[bytes, Any]:
        """Announce from 127.0.0.SEAT; every parameter can be given anew, and None leaves it out."""
        given: dict[str, object] = {
            "info_hash": info_hash,
            "peer_id": b"-XX0001-%012d" % seat,
            "port": 6881,
            "uploaded": 0,
            "downloaded": 0,
            "left": 1000,
        } | parameters
        fields = [
            f"{name}={quote(value if isinstance(value, bytes) else str(value))}"
            for name, value in given.items()
            if value is not None
        ]
        target = URL(f"{self.url}/announce?{'&'.join(fields)}", encoded=True)
        async with self._from(seat).get(target, headers=CIMultiDict(headers)) as reply:
            assert reply.status == 200
            return bencode2.bdecode(await reply.read())

    async def report(
        self, info_hash: bytes, seat: int = 2, headers: Headers = (), **fields: object
    ) -> tuple[int, Any]:
        """Report from 127.0.0.SEAT; every field can be given anew."""
        told: dict[str, object] = {
            "info_hash": info_hash.hex(),
            "port": 6881,
            "name": f"pc{seat}",
            "doing": "filling",
            "done": 0,
            "download_rate": 0,
            "upload_rate": 0,
            "peers": 0,
        } | fields
        async with self._from(seat).post(
            f"{self.url}/api/v1/reports", json=told, headers=CIMultiDict(headers)
        ) as reply:
            return reply.status, await reply.json()

    def _from(self, seat: int) -> aiohttp.ClientSession:
        address = f"127.0.0.{seat}"
        if address not in self.from_address:
            connector = aiohttp.TCPConnector(local_addr=(address, 0))
            self.from_address[address] = aiohttp.ClientSession(connector=connector)
        return self.from_address[address]


@pytest.fixture
def networks() -> Networks:
    """Who may announce and speaks for whom; for a module of tests to say otherwise."""
    return Networks()


@pytest.fixture(autouse=True)
def refusals_of_this_test_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tests before it were refused within the same second would hide its own refusals."""
    (limit,) = access.refusals.filters
    assert isinstance(limit, access.AtMost)
    monkeypatch.setattr(limit, "_seen", 0)


@pytest.fixture
async def room(tmp_path: Path, without_pause: None, networks: Networks) -> AsyncIterator[Room]:
    clock = Clock()
    async with (
        tracking(tmp_path, networks=networks, clock=clock, wall=clock.wall, rng=random.Random(1)) as (
            tracker,
            port,
        ),
        aiohttp.ClientSession() as session,
        Room(port, clock, session, tracker) as opened,
    ):
        yield opened


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("valkey"))
    yield server
    server.end()


@pytest.fixture
def valkey(valkey_server: Server) -> str:
    """The URL of an empty store."""
    valkey_server.empty()
    return valkey_server.url


@asynccontextmanager
async def tracking(
    folder: Path, address: str = "127.0.0.1", connections: Connections | None = None, **more: Any
) -> AsyncIterator[tuple[Tracker, int]]:
    """A tracker that listens, and its port."""
    app = web.Application()
    tracker = server.attach(app, folder, **more)
    runner = server.Runner(app, connections=connections, access_log=None)
    tcp, udp = server.bind(address, 0)
    with tcp, udp:
        await runner.setup()
        try:
            async with server.serving(runner, tracker, tcp, udp):
                yield tracker, tcp.getsockname()[1]
        finally:
            await runner.cleanup()


@pytest.fixture
def until() -> Callable[..., Awaitable[None]]:
    """Wait for a condition, but not for ever."""

    async def wait(condition: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while not await condition():  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    return wait


@pytest.fixture
def without_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let unknown info-hashes cause one scan after the other."""
    monkeypatch.setattr(allowlist, "SCAN_PAUSE", 0.0)


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture, until: Callable[..., Awaitable[None]]) -> Iterator[Heard]:
    """Wait for a line in the log of every request: what the tracker has understood of it."""
    caplog.set_level(logging.INFO, access.every.name)
    access.every.addHandler(caplog.handler)

    async def wait(pattern: str) -> None:
        async def said() -> bool:
            return any(re.match(pattern, line) for line in caplog.messages)

        await until(said, seconds=CLIENTS_PATIENCE)

    yield wait
    access.every.removeHandler(caplog.handler)


@pytest.fixture
async def seed(tmp_path: Path, room: Room, door: str, heard: Heard) -> seeds.Seed:
    """A seed that the tracker knows: it came by the `door`, `http` or `udp`."""
    seed = seeds.Seed(tmp_path / ".seed", tmp_path / "a.torrent")
    seed.start(f"{door}://127.0.0.1:{room.port}/announce")
    await heard(rf"{door} {seeds.ADDRESS}:\d+ announce 'a' started, 0 bytes left")
    return seed
