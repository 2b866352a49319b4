"""Several trackers on one store, and a store that goes away: what only a store elsewhere has."""

import asyncio
import logging
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner
from valkeys import Server

from ogtorrent.cli import main as ogtorrent
from tests.tracker.conftest import Clock, Room, tracking
from tests.tracker.datagrams import announce, client
from tracker.__main__ import main as tracker
from tracker.networks import Networks
from tracker.request import AnnounceRequest, Event, InfoHash, PeerId
from tracker.swarm import valkey as swarm_valkey
from tracker.swarm.peer import Source, Tally
from tracker.swarm.store import StoreDownError
from tracker.swarm.valkey import ValkeyStore
from tracker.udp import frontend

Until = Callable[..., Awaitable[None]]
IMAGE = InfoHash(b"i" * 20)


def opened(url: str, seed: int = 1) -> ValkeyStore:
    return ValkeyStore(url, random.Random(seed), Networks().room_of)


@pytest.fixture
async def trackers(tmp_path: Path, valkey: str, without_pause: None) -> AsyncIterator[list[Room]]:
    """Two on one store."""
    async with AsyncExitStack() as stack:
        rooms = []
        for seed in (1, 2):
            made, port = await stack.enter_async_context(tracking(tmp_path, store=opened(valkey, seed)))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            rooms.append(await stack.enter_async_context(Room(port, Clock(), session, made)))
        yield rooms


async def test_who_announces_to_one_tracker_is_handed_out_by_the_other(
    trackers: list[Room], publish: Callable[..., bytes]
) -> None:
    info_hash = publish("a")
    first, second = trackers
    await first.announce(info_hash, 2, left=0, event="completed")
    reply = await second.announce(info_hash, 3)
    assert (reply[b"peers"], reply[b"complete"], reply[b"downloaded"]) == (b"\x7f\0\0\2\x1a\xe1", 1, 1)
    assert (await first.get("/api/v1/swarms"))[1].count(b'"address"') == 2
    await second.announce(info_hash, 2, left=0, event="stopped")
    assert (await first.announce(info_hash, 3))[b"complete"] == 0


async def test_a_connection_id_of_one_tracker_is_good_at_the_other(
    trackers: list[Room], publish: Callable[..., bytes]
) -> None:
    info_hash = publish("a")
    first, second = trackers
    await first.announce(info_hash, 9, left=0)
    async with client(first.port) as at_first, client(second.port) as at_second:
        reply = await at_second.announce(await at_first.connect(), info_hash)
    assert (reply[:4], reply[20:]) == (b"\0\0\0\1", b"\x7f\0\0\x09\x1a\xe1")


async def test_announces_of_everybody_at_once_leave_each_in_once(valkey: str) -> None:
    stores = [opened(valkey, seed) for seed in (1, 2)]
    rng = random.Random(3)

    async def ask(seat: int, event: Event = Event.NONE) -> None:
        # Two of them have one endpoint, and each also moves from one state to the other.
        place = Source(bytes((10, 1, seat % 3, 2 + seat // 2)), b"\x0a\1\0\1")
        left = rng.choice((0, 1000))
        asked = AnnounceRequest(IMAGE, PeerId(b"%020d" % seat), 6881, left, event=event)
        await rng.choice(stores).announce(IMAGE, asked, place, stores[0].clock())

    await asyncio.gather(*(ask(seat) for _ in range(6) for seat in range(30)))
    peers = await stores[0].peers(IMAGE)
    endpoints = [peer.endpoint for peer in peers]
    assert len({peer.identity for peer in peers}) == len(set(endpoints)) == len(peers) >= 15
    seeding = sum(peer.seeding for peer in peers)
    assert await stores[1].tally(IMAGE) == Tally(seeding, len(peers) - seeding)
    lost = [await one.expire(stores[0].clock() + 1000, 20) for one in stores * 3]
    assert sum(len(expired.lost) for expired in lost) == len(peers)
    assert await stores[0].tally(IMAGE) == Tally()
    with_nothing_left = await stores[0].interval(), await stores[0].peers(IMAGE)
    assert with_nothing_left == (5, [])
    for store in stores:
        await store.close()


async def test_two_trackers_that_expire_at_once_tell_of_each_seat_once(valkey: str) -> None:
    stores = [opened(valkey, seed) for seed in (1, 2)]
    for seat in range(20):
        asked = AnnounceRequest(IMAGE, PeerId(b"%020d" % seat), 6881, 1000)
        await stores[0].announce(IMAGE, asked, Source(bytes((10, 1, 0, 2 + seat)), b"\x0a\1\0\1"), 0)
    both = await asyncio.gather(*(store.expire(1000, 50) for store in stores))
    assert sorted(peer.peer_id for expired in both for _, peer in expired.lost) == [
        b"%020d" % seat for seat in range(20)
    ]
    for store in stores:
        await store.close()


@pytest.mark.room
async def test_while_the_store_is_down_clients_are_told_and_after_that_the_swarm_is_there(
    tmp_path: Path,
    publish: Callable[..., bytes],
    until: Until,
    without_pause: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    info_hash = publish("a")
    folder = tmp_path / ".valkey"
    folder.mkdir()
    server = Server(folder, keeps=True)
    try:
        async with (
            tracking(tmp_path, store=opened(server.url)) as (made, port),
            aiohttp.ClientSession() as session,
            Room(port, Clock(), session, made) as room,
        ):
            await room.announce(info_hash, 2, left=0)
            server.end()
            reply = await room.announce(info_hash, 3)
            assert reply == {
                b"failure reason": b"the tracker's store does not answer",
                b"retry in": 1,
                b"interval": 10,
            }
            assert (await room.get("/"))[0] == 503

            async def noticed() -> bool:
                return any(record.levelno == logging.ERROR for record in caplog.records)

            await until(noticed)
            server.start()
            assert (await room.announce(info_hash, 3))[b"peers"] == b"\x7f\0\0\2\x1a\xe1"

            async def told() -> bool:
                return "no longer: the store" in caplog.text

            await until(told)
    finally:
        server.end()
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert "Traceback" not in caplog.text


@pytest.mark.room
async def test_a_store_that_hangs_costs_no_connection_and_nobody_waits_for_it_long(
    valkey_server: Server, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swarm_valkey, "_TIMEOUT", 0.3)
    monkeypatch.setattr(swarm_valkey, "_PAUSE", 0.5)
    store = opened(valkey)

    async def announce(seat: int) -> None:
        asked = AnnounceRequest(IMAGE, PeerId(b"%020d" % seat), 6881, 1000)
        await store.announce(IMAGE, asked, Source(bytes((10, 1, 0, seat)), b"\x0a\1\0\1"), store.clock())

    for _ in range(3):
        asking = [asyncio.create_task(announce(seat)) for seat in range(100)]
        await asyncio.sleep(0.02)  # in the middle of some of them
        valkey_server.process.send_signal(signal.SIGSTOP)
        try:
            # If each waited for itself, a thousand would take half a minute.
            asking += [asyncio.create_task(announce(seat % 100)) for seat in range(1000)]
            async with asyncio.timeout(10):
                ended = await asyncio.gather(*asking, return_exceptions=True)
        finally:
            valkey_server.process.send_signal(signal.SIGCONT)
        assert {type(one) for one in ended} <= {type(None), StoreDownError}
        assert ended.count(None) <= 100
        await asyncio.sleep(0.6)
    await asyncio.gather(*map(announce, range(100)))
    await store.close()


async def test_datagrams_that_come_faster_than_the_store_answers_wait_for_their_turn(
    trackers: list[Room], publish: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frontend, "_MOST_WAITING", 4)
    info_hash = publish("a")
    async with client(trackers[0].port) as seat:
        connection = await seat.connect()
        asked = [announce(connection, info_hash, port=port) for port in range(7000, 7100)]
        for datagram in asked:
            seat.transport.sendto(datagram)
        async with asyncio.timeout(20):
            replies = [await seat.protocol.got.get() for _ in asked]
    assert {reply[:4] for reply in replies} == {b"\0\0\0\1"}
    assert b'"filling": 100,' in (await trackers[0].get("/api/v1/swarms"))[1]


async def test_many_announces_of_one_peer_at_once_are_all_answered(valkey: str) -> None:
    store = opened(valkey)
    asked = AnnounceRequest(IMAGE, PeerId(b"%020d" % 1), 6881, 1000)
    place = Source(bytes((10, 1, 0, 1)), b"\x0a\1\0\1")
    await asyncio.gather(*(store.announce(IMAGE, asked, place, 0) for _ in range(64)))
    assert await store.tally(IMAGE) == Tally(incomplete=1)
    await store.close()


async def test_a_store_that_lost_its_data_is_given_the_secret_again(
    valkey_server: Server, valkey: str
) -> None:
    store = opened(valkey)
    valkey_server.empty()
    await store.save()
    assert await opened(valkey).secret() == await store.secret()
    await store.close()


async def test_the_clock_follows_the_servers(valkey: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(valkey)
    right = store.clock()
    for wrong in (600, -600):
        # As after a suspension, or where the server's clock was set.
        store._ahead += wrong
        await store.save()
        assert abs(store.clock() - right) < 60
    await store.close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("valkey://:secret@127.0.0.1:1/0", "the store valkey://127.0.0.1:1/0 does not answer"),
        ("http://127.0.0.1", "http://127.0.0.1 is not the URL of a store, which is like valkey://"),
    ],
)
def test_a_store_that_cannot_be_used_is_an_error_that_says_which(
    tmp_path: Path, url: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [str(tmp_path), "--listen", "127.0.0.1:0", "--store", url]
    ran = CliRunner().invoke(tracker, options)
    assert (ran.exit_code, says in ran.output) == (1, True)
    with pytest.raises(SystemExit) as ended:
        ogtorrent(["serve", *options])
    told = capsys.readouterr().err
    assert (ended.value.code, says in told) == (60, True)
    assert "secret" not in ran.output + told


def test_a_file_for_the_counts_beside_a_store_elsewhere_is_a_contradiction(tmp_path: Path) -> None:
    ran = CliRunner().invoke(
        tracker, [str(tmp_path), "--store", "valkey://127.0.0.1", "--state", str(tmp_path / "s")]
    )
    assert ran.exit_code == 2
    assert "--state" in ran.output


async def test_a_store_that_is_not_there_is_no_fault_of_ours(tmp_path: Path) -> None:
    with pytest.raises(StoreDownError):
        opened(f"unix://{tmp_path}/none")
