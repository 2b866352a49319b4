"""A building that is switched on: hundreds of newcomers at once are all answered, and all are in."""

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import bencode2
import pytest

from tests.tracker import datagrams

Publish = Callable[..., bytes]
Room = Any

CROWD = 600
ADDRESSES = [f"127.0.{10 + number // 200}.{number % 200 + 2}" for number in range(CROWD)]


async def by_http(room: Room, image: bytes, number: int) -> int:
    """Announce on a connection of its own; how many seats there are then."""
    query = f"info_hash={quote(image)}&peer_id={number:020}&port=6881&left=1000&event=started"
    reader, writer = await asyncio.open_connection("127.0.0.1", room.port, local_addr=(ADDRESSES[number], 0))
    writer.write(f"GET /announce?{query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.1 200 ")
    reply = bencode2.bdecode(body)
    assert b"failure reason" not in reply
    return int(reply[b"incomplete"])


async def by_udp(room: Room, image: bytes, number: int) -> int:
    async with datagrams.client(room.port, ADDRESSES[number]) as seat:
        connected = await seat.insist(struct.pack(">QII", datagrams.PROTOCOL_ID, 0, 7))
        reply = await seat.insist(datagrams.announce(connected[8:], image, event=2, port=7000 + number))
        assert reply[:4] == b"\0\0\0\x01"
        return int.from_bytes(reply[12:16], "big")


@pytest.mark.parametrize("door", [by_http, by_udp])
async def test_hundreds_of_newcomers_at_once_are_answered_and_in_the_swarm(
    room: Room, publish: Publish, door: Callable[[Room, bytes, int], Awaitable[int]]
) -> None:
    image = publish("aula1/a")
    async with asyncio.timeout(60):
        counted = await asyncio.gather(*(door(room, image, number) for number in range(CROWD)))
    # Each was counted as it came: nobody was forgotten, nobody was taken for another.
    assert sorted(counted) == list(range(1, CROWD + 1))
    (swarm,) = json.loads((await room.get("/api/v1/swarms"))[1])["swarms"]
    assert sorted(seat["address"] for seat in swarm["seats"]) == sorted(ADDRESSES)
    assert swarm["filling"] == CROWD
    assert not any(count for (_, kind), count in room.tracker.counts.items() if kind == "refused")
