"""Whatever comes, by TCP or by UDP: nothing is a fault of the tracker, and nothing keeps it from the next.

Each run is another one. One that fails prints its seed: `FUZZ_SEED=... pytest ...` repeats it.
"""

import asyncio
import gc
import logging
import os
import random
import re
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from tests.tracker import datagrams, noise
from tests.tracker.conftest import Clock, tracking
from tracker.http.connections import WITHIN, Connections
from tracker.networks import PRIVATE, Networks

Publish = Callable[..., bytes]
Until = Callable[..., Awaitable[None]]

CONNECTIONS, AT_ONCE = 900, 75
DATAGRAMS, IN_A_BURST = 2000, 40
STATUS = re.compile(rb"^HTTP/[0-9]\.[0-9] ([0-9]{3}) ", re.MULTILINE)
# An Ethernet frame's, in IPv6.
LARGEST_DATAGRAM = 1500 - 48
MARK = 0xFFFFFF00  # the transaction of a connect that ends a burst


@pytest.fixture
def rng() -> random.Random:
    seed = int(os.environ.get("FUZZ_SEED") or random.SystemRandom().randrange(2**32))
    print(f"FUZZ_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def nothing_logged(caplog: pytest.LogCaptureFixture) -> Callable[[], None]:
    """Check that nobody was told of a fault."""
    caplog.set_level(logging.DEBUG)

    def check() -> None:
        gc.collect()  # of a task that failed unheard it is told when it goes
        faults = [one for one in caplog.records if one.levelno >= logging.WARNING or one.exc_info]
        assert [(one.name, one.getMessage(), one.exc_info) for one in faults] == []

    return check


class Exchange:
    """A connection that sends, piece by piece, and reads until the server has closed it."""

    def __init__(self, port: int, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.received = bytearray()
        self.all_is_sent = asyncio.Event()
        self.task = asyncio.create_task(self._run(port))

    async def _run(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with suppress(ConnectionError):
            for piece in self.pieces:
                writer.write(piece)
                await asyncio.sleep(0)
        self.all_is_sent.set()
        with suppress(ConnectionError):
            while some := await reader.read(65536):
                self.received += some
        writer.close()


@pytest.mark.room
@pytest.mark.parametrize("proxies", ["127.0.0.0/8", "10.0.0.0/8"], ids=["by a proxy", "by the short way"])
async def test_no_bytes_over_tcp_are_a_fault_or_stay(
    tmp_path: Path, publish: Publish, without_pause: None, until: Until, rng: random.Random,
    nothing_logged: Callable[[], None], proxies: str,
) -> None:  # fmt: skip
    image = publish("aula1/a")
    clock = Clock()
    connections = Connections(clock=clock)
    networks = Networks(PRIVATE, [ip_network(proxies)])
    async with (
        tracking(tmp_path, connections=connections, networks=networks) as (_, port),
        aiohttp.ClientSession() as session,
    ):
        query = f"info_hash={quote(image)}&peer_id={'p' * 20}&port=6881&left=0"
        good = URL(f"http://127.0.0.1:{port}/announce?{query}", encoded=True)
        statuses = set()
        for _ in range(CONNECTIONS // AT_ONCE):
            exchanges = [
                Exchange(port, noise.in_pieces(rng, noise.conversation(rng, image))) for _ in range(AT_ONCE)
            ]
            async with asyncio.timeout(10):
                for one in exchanges:
                    await one.all_is_sent.wait()
            # It comes after all that was sent, and is served whatever that was.
            async with session.get(good) as reply:
                assert (reply.status, b"8:intervali" in await reply.read()) == (200, True)

            async def they_end(exchanges: list[Exchange] = exchanges) -> bool:
                clock.now += WITHIN
                connections.expire()
                return all(one.task.done() for one in exchanges)

            await until(they_end)
            for one in exchanges:
                answers = bytes(one.received)
                found = [int(status) for status in STATUS.findall(answers)]
                assert all(status < 500 for status in found), (one.pieces, answers)
                assert not answers or answers.startswith(b"HTTP/"), (one.pieces, answers)
                statuses.update(found)
        # It has met much: what is served, and what is refused in several ways.
        assert {200, 400, 404, 405} <= statuses
        nothing_logged()


@pytest.mark.parametrize(
    ("address", "host", "local"), [("127.0.0.1",) * 2 + ("127.0.0.2",), ("::", "::1", "::1")]
)
async def test_no_datagram_is_a_fault_and_without_a_connection_id_none_is_answered_with_more_than_it_has(
    tmp_path: Path, publish: Publish, without_pause: None, rng: random.Random,
    nothing_logged: Callable[[], None], address: str, host: str, local: str,
) -> None:  # fmt: skip
    image = publish("aula1/a")
    async with tracking(tmp_path, address) as (_, port), datagrams.client(port, local, host) as seat:
        connection = await seat.connect()
        for number in range(100):  # peers enough for a long answer
            await seat.announce(connection, image, port=7000 + number)
        sent: dict[int, bytes] = {}
        answered: dict[int, bytes] = {}

        def note(reply: bytes) -> int:
            action, transaction = struct.unpack_from(">II", reply)
            if transaction in sent:
                asked = sent[transaction]
                assert transaction not in answered, f"two answers to {asked!r}"
                assert action <= 3 and b"internal" not in reply, (asked, reply)
                most = LARGEST_DATAGRAM if asked[:8] == connection else len(asked)
                assert len(reply) <= most, (asked, reply)
                answered[transaction] = reply
            else:
                assert transaction in (MARK, 8), f"an answer to what is no request: {reply!r}"
            return int(transaction)

        async def ask_and_wait(datagram: bytes) -> None:
            """Answers come in order: when this one's is there, so are those of what came before."""
            seat.transport.sendto(datagram)
            async with asyncio.timeout(10):
                while note(await seat.protocol.got.get()) != struct.unpack_from(">I", datagram, 12)[0]:
                    pass

        for burst in range(1000, 1000 + DATAGRAMS, IN_A_BURST):
            for transaction in range(burst, burst + IN_A_BURST):
                sent[transaction] = noise.datagram(rng, image, connection, transaction)
                seat.transport.sendto(sent[transaction])
            await ask_and_wait(struct.pack(">QII", datagrams.PROTOCOL_ID, 0, MARK))
        # What is not published is looked for in the folder first, and this one last of all.
        await ask_and_wait(datagrams.announce(connection, b"x" * 20))
        kinds = {struct.unpack_from(">I", reply)[0] for reply in answered.values()}
        assert kinds == {0, 1, 2, 3} and len(answered) < len(sent)
        assert any(len(reply) > 600 for reply in answered.values())
        nothing_logged()
        assert (await seat.announce(connection, image))[:4] == struct.pack(">I", 1)
