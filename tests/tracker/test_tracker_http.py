"""The tracker through its HTTP doors."""

import asyncio
import json
import logging
import random
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import quote

import bencode2
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tracker.conftest import tracking
from tracker import server
from tracker.http import reply
from tracker.metainfo import read_torrent
from tracker.request import AnnounceRequest, InfoHash, PeerId
from tracker.swarm.peer import Answer, Tally

Publish = Callable[..., bytes]
Until = Callable[..., Awaitable[None]]
Room = Any


def endpoints(compact: bytes) -> list[tuple[str, int]]:
    return [
        (str(ip_address(compact[at : at + 4])), int.from_bytes(compact[at + 4 : at + 6], "big"))
        for at in range(0, len(compact), 6)
    ]


async def test_two_seats_find_each_other(room: Room, publish: Publish) -> None:
    image = publish("aula1/windows.img")
    first = await room.announce(image, seat=2, event="started")
    assert first == {
        b"complete": 0,
        b"incomplete": 1,
        b"downloaded": 0,
        b"interval": 5,
        b"min interval": 5,
        b"peers": b"",
    }
    second = await room.announce(image, seat=3, left=0)
    assert endpoints(second[b"peers"]) == [("127.0.0.2", 6881)]
    assert (second[b"complete"], second[b"incomplete"]) == (1, 1)


async def test_peers_are_spelt_out_for_who_asks(room: Room, publish: Publish) -> None:
    image = publish("a")
    await room.announce(image, seat=2)
    spelt = {b"ip": b"127.0.0.2", b"port": 6881, b"peer id": b"-XX0001-000000000002"}
    assert (await room.announce(image, seat=3, compact=0))[b"peers"] == [spelt]
    del spelt[b"peer id"]
    assert (await room.announce(image, seat=3, compact=0, no_peer_id=1))[b"peers"] == [spelt]


def test_ipv6_peers_have_a_list_of_their_own() -> None:
    endpoints = [ip_address(address).packed + b"\x01\x02" for address in ("10.0.0.1", "fd00::1")]
    answer = Answer(endpoints, [b"p" * 20] * 2, Tally(), 5, None)
    asked = AnnounceRequest(InfoHash(b"i" * 20), PeerId(b"a" * 20), 6881, 1)
    told = bencode2.bdecode(reply.announce_reply(answer, asked))
    assert told[b"peers"] == b"\x0a\0\0\x01\x01\x02"
    assert told[b"peers6"] == ip_address("fd00::1").packed + b"\x01\x02"
    told = bencode2.bdecode(reply.announce_reply(answer, asked._replace(compact=False, no_peer_id=True)))
    assert [peer[b"ip"] for peer in told[b"peers"]] == [b"10.0.0.1", b"fd00::1"]


async def test_who_stops_gets_an_empty_list(room: Room, publish: Publish) -> None:
    image = publish("a")
    await room.announce(image, seat=2)
    await room.announce(image, seat=3)
    assert (await room.announce(image, seat=3, event="stopped"))[b"peers"] == b""
    assert (await room.announce(image, seat=2))[b"incomplete"] == 1


async def test_a_client_cannot_say_that_it_is_somebody_else(room: Room, publish: Publish) -> None:
    image = publish("a")
    await room.announce(image, seat=2, ip="10.9.9.9", ipv4="10.9.9.9")
    assert endpoints((await room.announce(image, seat=3))[b"peers"]) == [("127.0.0.2", 6881)]


async def test_what_was_published_before_the_start_is_served_at_once(
    tmp_path: Path, publish: Publish
) -> None:
    publish("a/b/c")
    async with tracking(tmp_path) as (tracker, _):
        assert [entry.name for entry in tracker.allow_list.published] == ["a/b/c"]


async def test_a_folder_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    app = web.Application()
    server.attach(app, tmp_path / "nowhere")
    runner = web.AppRunner(app)
    with pytest.raises(FileNotFoundError):
        await runner.setup()
    await runner.cleanup()


async def test_a_torrent_published_a_moment_ago_is_not_refused(room: Room, publish: Publish) -> None:
    for number in range(2):
        assert b"failure reason" not in await room.announce(publish(f"image{number}"))


async def test_what_is_not_published_is_refused_with_a_reason(
    room: Room, without_pause: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    reply = await room.announce(b"x" * 20)
    assert reply[b"failure reason"] == b"torrent " + b"78" * 20 + b" is not published here"
    assert (reply[b"retry in"], reply[b"interval"]) == (1, 60)
    assert "refused http announce from 127.0.0.2: torrent 7878" in caplog.text


async def test_what_is_no_longer_published_is_refused(
    room: Room, publish: Publish, tmp_path: Path, until: Until
) -> None:
    image = publish("a")
    await room.announce(image)
    (tmp_path / "a.torrent").unlink()

    async def refused() -> bool:
        return b"failure reason" in await room.announce(image)

    await until(refused, 5)
    assert json.loads((await room.get("/api/v1/swarms"))[1])["swarms"] == []
    assert not room.tracker.counts["http", "scrape"]


async def test_a_mistake_is_shown_to_who_made_it(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    reply = await room.announce(b"x" * 20, port="ssh")
    assert reply == {b"failure reason": b"port is not a number (BEP 3)"}
    assert "refused http announce from 127.0.0.2: port is not a number" in caplog.text


async def test_a_hybrid_is_one_swarm_under_both_hashes(room: Room, publish: Publish, tmp_path: Path) -> None:
    tree = {b"a.img": {b"": {b"length": 5, b"pieces root": b"r" * 32}}}
    publish("hybrid", meta_version=2, file_tree=tree)
    version_1, version_2 = read_torrent(tmp_path / "hybrid.torrent").info_hashes
    await room.announce(version_1, seat=2)
    assert endpoints((await room.announce(version_2, seat=3))[b"peers"]) == [("127.0.0.2", 6881)]


async def test_a_scrape_counts_what_it_is_asked_for_or_everything(room: Room, publish: Publish) -> None:
    first, second = publish("a"), publish("b")
    await room.announce(first, seat=2, left=0)
    await room.announce(first, seat=3)
    await room.announce(first, seat=3, left=0, event="completed")
    await room.announce(second, seat=4)
    counted = {b"complete": 2, b"incomplete": 0, b"downloaded": 1}
    some = bencode2.bdecode((await room.get(f"/scrape?info_hash={quote(first)}&info_hash={'x' * 20}"))[1])
    assert some[b"files"] == {first: counted}
    everything = bencode2.bdecode((await room.get("/scrape"))[1])
    assert everything[b"files"] == {
        first: counted,
        second: {b"complete": 0, b"incomplete": 1, b"downloaded": 0},
    }


async def test_the_log_tells_of_seats_and_not_of_announces(
    room: Room, publish: Publish, caplog: pytest.LogCaptureFixture, until: Until
) -> None:
    image = publish("a")
    await room.announce(image, seat=2)
    caplog.set_level(logging.INFO)
    caplog.clear()
    await room.announce(image, seat=2)
    await room.announce(image, seat=3)
    await room.announce(image, seat=3, left=0, event="completed")
    await room.announce(image, seat=3, left=0)
    await room.announce(image, seat=2, event="stopped")
    room.clock.now += 16
    await room.get("/")
    assert [record.getMessage() for record in caplog.records if record.name == "tracker.seats"] == [
        "'a': 127.0.0.3:6881 arrived, 0 done and 2 filling",
        "'a': 127.0.0.3:6881 finished, 1 done and 1 filling",
        "'a': 127.0.0.2:6881 left, 1 done and 0 filling",
        "'a': 127.0.0.3:6881 lost, silent for 16 s",
    ]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: \xff\0\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_told_of_in_a_line_and_not_in_more_of_them_than_of_other_refusals(
    room: Room, caplog: pytest.LogCaptureFixture, until: Until, sent: bytes
) -> None:
    caplog.set_level(logging.INFO)
    second = time.time() // 1

    async def refused() -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
        writer.write(sent)
        assert (await reader.read()).startswith(b"HTTP/1.")
        writer.close()
        return "refused http request from 127.0.0.1: no HTTP: " in caplog.text

    await until(refused)
    for _ in range(100):
        await refused()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) <= 20 * (time.time() // 1 - second + 1)
    assert all(len(line) < 250 and line.isprintable() for line in lines)
    assert not any(record.exc_info for record in caplog.records)


async def test_silent_seats_are_lost_though_nobody_looks(
    room: Room, publish: Publish, caplog: pytest.LogCaptureFixture, until: Until
) -> None:
    caplog.set_level(logging.INFO)
    image = publish("a")
    await room.announce(image)
    await room.announce(image)
    room.clock.now += 16

    async def told() -> bool:
        return "lost, silent" in caplog.text

    await until(told, 5)


async def test_a_fault_of_ours_is_logged_and_masked(
    room: Room, publish: Publish, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    image = publish("a")
    await room.announce(image)

    def broken(*_: object) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr("tracker.swarm.memory.MemoryStore.announce", broken)
    monkeypatch.setattr("tracker.watch.Watch.picture", broken)
    assert (await room.announce(image))[b"failure reason"] == b"internal error"
    for target in ("/", "/api/v1/swarms"):
        status, body, _ = await room.get(target)
        assert (status, body) == (500, b"internal error\n")
    assert caplog.text.count("internal error at /") == 3
    assert "RuntimeError: the secret of the house" in caplog.text
    assert "Traceback" in caplog.text


async def test_health_is_told(room: Room) -> None:
    status, body, _ = await room.get("/health")
    assert (status, json.loads(body)) == (200, {"status": "ok", "torrents": 0})


async def test_the_tracker_lives_beside_the_routes_of_its_host(tmp_path: Path) -> None:
    async def own(request: web.Request) -> web.Response:
        return web.Response(text="mine")

    app = web.Application()
    app.router.add_get("/own", own)
    server.attach(app, tmp_path)
    assert {resource.canonical for resource in app.router.resources()} == {
        "/own",
        "/",
        "/announce",
        "/api/v1/reports",
        "/api/v1/swarms",
        "/api/v1/swarms/{info_hash}",
        "/health",
        "/history",
        "/history.csv",
        "/history.json",
        "/history/{id}",
        "/history/{id}.csv",
        "/history/{id}.json",
        "/metrics",
        "/rooms/{name}",
        "/scrape",
        "/seats/{name}",
        "/swarms/{name}",
    }


NAMES = [
    "info_hash",
    "peer_id",
    "port",
    "left",
    "uploaded",
    "downloaded",
    "event",
    "numwant",
    "key",
    "compact",
]
LIKELY = st.one_of(
    st.binary(max_size=25),
    st.binary(min_size=20, max_size=20),
    st.integers().map(lambda number: str(number).encode()),
    st.sampled_from([b"started", b"stopped", b"completed", b"1", b"0", b"6881", b"published"]),
)
FIELDS = st.lists(st.tuples(st.sampled_from(NAMES), LIKELY), max_size=12)
NOISE = st.binary(max_size=120).map(lambda noise: bytes(byte for byte in noise if byte not in b" \r\n"))


def test_no_query_makes_a_fault(
    tmp_path: Path, publish: Publish, without_pause: None, caplog: pytest.LogCaptureFixture
) -> None:
    image = publish("a")
    whole = {"info_hash": image, "peer_id": b"p" * 20, "port": b"6881", "left": b"5"}

    async def start() -> tuple[web.AppRunner, int]:
        app = web.Application()
        server.attach(app, tmp_path, rng=random.Random(1))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner, runner.addresses[0][1]

    async def ask(port: int, target: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        reply = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return reply

    with asyncio.Runner() as loop:
        app_runner, port = loop.run(start())

        @settings(max_examples=200, deadline=None)
        @given(st.sampled_from([b"/announce", b"/scrape", b"/"]), FIELDS, NOISE, st.booleans())
        def any_query(path: bytes, fields: list[tuple[str, bytes]], noise: bytes, valid: bool) -> None:
            given_fields = (whole if valid else {}) | dict(fields)
            query = "&".join(f"{name}={quote(value)}" for name, value in given_fields.items())
            reply = loop.run(ask(port, path + b"?" + query.encode() + b"&" + noise))
            head, _, body = reply.partition(b"\r\n\r\n")
            status = int(head.split()[1])
            assert status in (200, 400)
            if status == 200 and path != b"/":
                assert bencode2.bdecode(body).get(b"failure reason") != b"internal error"

        any_query()
        loop.run(app_runner.cleanup())
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
