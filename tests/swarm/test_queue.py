"""The queue that a repository promises: long for one that stays alone, short in a room."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import libtorrent as lt
import pytest
from machines import DEADLINE, NETWORK, image

from ogtorrent.layout import ImagePath, recognise
from ogtorrent.repository.publish import publish
from ogtorrent.swarm import policy
from ogtorrent.swarm.metainfo import Metainfo
from ogtorrent.swarm.session import Session
from ogtorrent.swarm.torrent import Start

SERVER, SEAT = f"{NETWORK}.241", f"{NETWORK}.242"
FIRST, SECOND, THIRD = (f"{NETWORK}.{host}" for host in (243, 244, 245))
SIZE = 16_000_000
SLOW = {"download_rate_limit": 4_000_000}  # bytes a second: time to see what happens


@pytest.fixture
def windows(tmp_path: Path) -> Metainfo:
    image(tmp_path / "images" / "windows.img", SIZE)
    return publish(recognise(tmp_path / "images"), ImagePath.parse("windows.img"), (), lambda done: None)


@contextmanager
def foreigner(
    settings: policy.Settings, windows: Metainfo, folder: Path
) -> Iterator[tuple[lt.session, lt.torrent_handle]]:
    """A client that is not ours, with the image or without."""
    session = lt.session({"enable_dht": False, "enable_lsd": False, "enable_outgoing_utp": False, **settings})  # type: ignore[misc]
    params = lt.load_torrent_buffer(windows.raw)
    params.save_path = str(folder)
    params.flags = lt.torrent_flags.update_subscribe
    try:
        yield session, session.add_torrent(params)
    finally:
        del session


async def promise(endpoint: tuple[str, int], address: str, windows: Metainfo, clients: ExitStack) -> int:
    """Shake hands as a client at `address` that wants pieces, stay, and return the promised `reqq`."""
    reader, writer = await asyncio.open_connection(*endpoint, local_addr=(address, 0))
    clients.callback(writer.close)
    extensions = bytes([0, 0, 0, 0, 0, 0x10, 0, 0])
    writer.write(b"\x13BitTorrent protocol" + extensions + windows.info_hash + b"-XX0000-" + os.urandom(12))
    writer.write(_message(bytes([20, 0]) + lt.bencode({b"m": {}})) + _message(bytes([2])))  # `interested`
    await reader.readexactly(68)
    while True:
        message = await reader.readexactly(int.from_bytes(await reader.readexactly(4)))
        if message[:2] == bytes([20, 0]):
            said = lt.bdecode(message[2:])
            assert isinstance(said, dict)
            return int(said[b"reqq"])


def _message(body: bytes) -> bytes:
    return len(body).to_bytes(4) + body


@pytest.mark.room
async def test_a_repository_promises_a_long_queue_only_while_one_alone_takes(
    tmp_path: Path, windows: Metainfo
) -> None:
    repository = Session(policy.repository(SERVER, 0))
    promising = asyncio.ensure_future(repository.keep_queue())
    try:
        seeding = repository.add(windows, tmp_path / "images" / "windows.img", (), Start.WHOLE)
        assert await seeding.checked()  # before, connections are closed
        endpoint = (SERVER, await repository.port())
        promised = []
        with ExitStack() as clients:
            for address in (FIRST, SECOND, THIRD):
                promised.append(await promise(endpoint, address, windows, clients))
                await asyncio.sleep(5 * policy.LONELY)
        # The first came to an empty room, the second to one who was alone, the third to two.
        assert promised == [policy.QUEUE, policy.LONG_QUEUE, policy.QUEUE]
    finally:
        promising.cancel()
        await repository.close()


@pytest.mark.room
async def test_a_seat_that_stays_alone_shakes_hands_again_once_for_a_longer_queue(
    tmp_path: Path, windows: Metainfo
) -> None:
    served = {
        "listen_interfaces": f"{SERVER}:0",
        "user_agent": "ogtorrent/9",
        "max_allowed_in_request_queue": 4,
    }
    seat = Session({**policy.seat(SEAT, 0), **SLOW})
    place = tmp_path / "seat" / "windows.img"
    try:
        with foreigner(served, windows, tmp_path) as (server, serving):
            filling = seat.add(windows, place, (), Start.FILL)
            filling.connect(SERVER, server.listen_port())
            met = set()
            async with asyncio.timeout(DEADLINE):
                while not await filling.whole(0.1):
                    filling.follow()
                    met |= {peer.ip for peer in serving.get_peer_info()}
            assert place.read_bytes() == (tmp_path / "images" / "windows.img").read_bytes()
            assert len(met) == 2  # each connection has a port of its own
    finally:
        await seat.close()
