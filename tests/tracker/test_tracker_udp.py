"""The tracker through its UDP door (BEP 15)."""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tracker.conftest import tracking
from tests.tracker.datagrams import PROTOCOL_ID, announce, client
from tracker import server
from tracker.networks import Networks
from tracker.udp.connection import ConnectionIds
from tracker.udp.frontend import UdpFrontEnd

Publish = Callable[..., bytes]
Room = Any


async def test_seats_of_both_doors_find_each_other(room: Room, publish: Publish) -> None:
    image = publish("a")
    await room.announce(image, seat=9, left=0)
    async with client(room.port) as seat:
        connection = await seat.connect()
        reply = await seat.announce(connection, image)
        assert reply == struct.pack(">IIIII", 1, 8, 5, 1, 1) + b"\x7f\0\0\x09\x1a\xe1"
        scraped = await seat.ask(struct.pack(">8sII", connection, 2, 9) + image + b"x" * 20)
        assert scraped == struct.pack(">IIIIIIII", 2, 9, 1, 0, 1, 0, 0, 0)
    assert b"\x7f\0\0\x02\x1a\xe1" in (await room.announce(image, seat=3))[b"peers"]


async def test_numwant_and_stopped_count(room: Room, publish: Publish) -> None:
    image = publish("a")
    for seat in range(3, 9):
        await room.announce(image, seat=seat)
    async with client(room.port) as seat:
        connection = await seat.connect()
        assert len(await seat.announce(connection, image, numwant=4)) == 20 + 4 * 6
        assert await seat.announce(connection, image, event=3) == struct.pack(">IIIII", 1, 8, 5, 6, 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image": b"x" * 20}, b"is not published here"),
        ({"port": 0}, b"port is not between 1 and 65535 (BEP 15)"),
        ({"event": 9}, b"event is none of"),
        ({"left": 1 << 63}, b"is negative"),
    ],
)
async def test_a_refusal_says_why(
    room: Room, publish: Publish, change: dict[str, Any], reason: bytes
) -> None:
    image = publish("a")
    await room.announce(image)
    async with client(room.port) as seat:
        reply = await seat.announce(await seat.connect(), **{"image": image, **change})
        assert (reply[:8], reason in reply) == (struct.pack(">II", 3, 8), True)


async def test_a_network_that_may_not_announce_is_told(tmp_path: Path, publish: Publish) -> None:
    image = publish("a")
    networks = Networks([ip_network("10.0.0.0/8")])
    async with tracking(tmp_path, networks=networks) as (_, port), client(port) as seat:
        reply = await seat.announce(await seat.connect(), image)
        assert b"127.0.0.2 is in no network that may announce here" in reply


async def test_ipv6_seats_get_ipv6_peers(tmp_path: Path, publish: Publish) -> None:
    image = publish("a")
    async with (
        tracking(tmp_path, "::") as (_, port),
        client(port, "::1", "::1") as first,
        client(port, "::1", "::1") as second,
        client(port) as third,
    ):
        await first.announce(await first.connect(), image, port=7001)
        reply = await second.announce(await second.connect(), image, port=7002)
        assert reply[20:] == bytes(15) + b"\x01" + struct.pack(">H", 7001)
        reply = await third.announce(await third.connect(), image)  # IPv4, over the same socket
        assert struct.unpack_from(">II", reply, 12) == (3, 0)


async def test_without_a_connection_id_no_answer_is_longer_than_what_was_asked(
    room: Room, publish: Publish
) -> None:
    image = publish("a")
    for seat in range(3, 40):
        await room.announce(image, seat=seat)
    async with client(room.port) as seat, client(room.port, "127.0.0.3") as other:
        stolen = await other.connect()
        for connection in (bytes(8), stolen):
            asked = announce(connection, image)
            reply = await seat.ask(asked)
            assert reply[:4] == struct.pack(">I", 3)
            assert len(reply) <= len(asked)


def test_a_connection_id_is_good_for_two_minutes_and_for_one_address() -> None:
    ids = ConnectionIds(b"s" * 32)
    made = ids.make(b"\x0a\0\0\1", 1000.0)
    assert ids.is_valid(made, b"\x0a\0\0\1", 1120.0)
    assert not ids.is_valid(made, b"\x0a\0\0\1", 1200.0)
    assert not ids.is_valid(made, b"\x0a\0\0\2", 1000.0)
    assert not ids.is_valid(bytes(8), b"\x0a\0\0\1", 1000.0)
    assert not ConnectionIds(b"t" * 32).is_valid(made, b"\x0a\0\0\1", 1000.0)


async def test_a_restart_keeps_connection_ids_and_counts(tmp_path: Path, publish: Publish) -> None:
    image = publish("a")

    def more() -> dict[str, Any]:
        return {"store": server.open_store(tmp_path, Networks())}

    async with tracking(tmp_path, **more()) as (_, port), client(port) as seat:
        connection = await seat.connect()
        await seat.announce(connection, image, left=0, event=1)
    async with tracking(tmp_path, **more()) as (_, port), client(port) as seat:
        assert (await seat.announce(connection, image))[:4] == struct.pack(">I", 1)
        scraped = await seat.ask(struct.pack(">8sII", connection, 2, 9) + image)
        assert struct.unpack_from(">III", scraped, 8) == (0, 1, 1)


@pytest.mark.root
async def test_as_root_a_crowd_waits_in_a_buffer_larger_than_the_system_gives_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = int(Path("/proc/sys/net/core/rmem_max").read_text())
    monkeypatch.setattr("tracker.udp.frontend._RECEIVE_BUFFER", 2 * limit)
    tracker = server.attach(web.Application(), tmp_path)
    tcp, udp = server.bind("127.0.0.1", 0)
    with tcp, udp:
        async with UdpFrontEnd(tracker, udp, bytes(32)).running():
            # The kernel counts its own part too, and doubles what it is asked for.
            assert udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 4 * limit


def test_no_datagram_makes_a_fault(
    tmp_path: Path, publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    image = publish("a")
    noise = st.binary(max_size=200)
    actions = st.integers(0, 5)

    with asyncio.Runner() as loop:
        held = tracking(tmp_path)
        _, port = loop.run(held.__aenter__())
        asking = client(port)
        seat = loop.run(asking.__aenter__())
        connection = loop.run(seat.connect())

        async def send(data: bytes, valid: bool) -> None:
            while not seat.protocol.got.empty():
                seat.protocol.got.get_nowait()
            seat.transport.sendto(data)
            # Answers come in order: what comes before this one's belongs to the noise.
            seat.transport.sendto(struct.pack(">QII", PROTOCOL_ID, 0, 0xFFFFFFFF))
            async with asyncio.timeout(10):
                while (reply := await seat.protocol.got.get())[:8] != struct.pack(">II", 0, 0xFFFFFFFF):
                    assert b"internal" not in reply
                    assert valid or len(reply) <= len(data)

        @settings(max_examples=300, deadline=None)
        @given(st.booleans(), actions, noise, st.booleans())
        def any_datagram(valid: bool, action: int, rest: bytes, whole: bool) -> None:
            head = (connection if valid else rest[:8].ljust(8, b"?")) + struct.pack(">II", action, 5)
            loop.run(send(head + (image if whole else b"") + rest, valid))
            loop.run(send(rest, False))

        any_datagram()
        loop.run(asking.__aexit__(None, None, None))
        loop.run(held.__aexit__(None, None, None))
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
