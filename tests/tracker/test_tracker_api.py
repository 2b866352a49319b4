"""What programs read: swarms in JSON, and the metrics."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.tracker.datagrams import client
from tracker.classroom.snapshot import natural
from tracker.metainfo import read_torrent

Publish = Callable[..., bytes]
Room = Any
Samples = dict[tuple[str, ...], float]
SIZE = 1000


async def test_a_swarm_is_found_under_each_of_its_hashes(
    room: Room, publish: Publish, tmp_path: Path
) -> None:
    tree = {b"a.img": {b"": {b"length": 5, b"pieces root": b"r" * 32}}}
    publish("hybrid", meta_version=2, file_tree=tree)
    publish("another")
    version_1, version_2 = read_torrent(tmp_path / "hybrid.torrent").info_hashes
    await room.announce(version_2, seat=2)
    (shown,) = (
        swarm
        for swarm in json.loads((await room.get("/api/v1/swarms"))[1])["swarms"]
        if swarm["name"] == "hybrid"
    )
    assert shown["info_hash"] == version_1.hex() and len(shown["seats"]) == 1
    for written in (version_1.hex(), version_2.hex(), version_1.hex().upper()):
        status, body, headers = await room.get(f"/api/v1/swarms/{written}")
        assert (status, json.loads(body)) == (200, shown)
        assert (headers["Content-Type"], headers["Cache-Control"]) == (
            "application/json; charset=utf-8",
            "no-store",
        )


async def test_a_swarm_that_is_not_published_is_not_found(room: Room) -> None:
    status, body, _ = await room.get(f"/api/v1/swarms/{'AB' * 20}")
    assert (status, json.loads(body)) == (404, {"error": f"torrent {'ab' * 20} is not published here"})


@pytest.mark.parametrize(
    "written",
    [
        "x",
        "g" * 40,
        "a" * 39,
        "a" * 41,
        "a" * 64,
        "aa%20" + "a" * 38,
        "%ff" * 40,
        quote("１" * 40),
        "a" * 5000,
    ],
)
async def test_what_is_no_info_hash_is_a_mistake_and_not_a_torrent_that_may_come(
    room: Room, written: str
) -> None:
    status, body, headers = await room.get(f"/api/v1/swarms/{written}")
    assert (status, json.loads(body)) == (400, {"error": "an info-hash is 40 hexadecimal digits"})
    assert headers["Content-Type"] == "application/json; charset=utf-8"


async def metrics(room: Room) -> Samples:
    """Every sample by its name and the values of its labels, in the order of the labels' names."""
    status, body, headers = await room.get("/metrics")
    assert (status, headers["Content-Type"].partition(";")[0]) == (200, "text/plain")
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


async def test_metrics_count_peers_downloads_and_requests(room: Room, publish: Publish) -> None:
    name = 'aula 1/"win\\dows"\n.img'
    image, idle = publish(name), publish("idle")
    await room.announce(image, seat=2)
    await room.announce(image, seat=2, left=0, event="completed")
    await room.announce(image, seat=3)
    await room.announce(image, seat=4, port="ssh")
    await room.get(f"/scrape?info_hash={quote(idle)}")
    async with client(room.port, "127.0.0.5") as seat:
        connection = await seat.connect()
        await seat.announce(connection, image)
        await seat.announce(connection, image, port=0)
        await seat.ask(struct.pack(">8sII", connection, 2, 9) + image)
    found = await metrics(room)
    process = {key for key in found if key[0].startswith("process_")}
    assert {key: value for key, value in found.items() if key not in process} == {
        ("tracker_peers", "seeding", name): 1,
        ("tracker_peers", "leeching", name): 2,
        ("tracker_peers", "seeding", "idle"): 0,
        ("tracker_peers", "leeching", "idle"): 0,
        ("tracker_downloads_total", name): 1,
        ("tracker_downloads_total", "idle"): 0,
        ("tracker_requests_total", "http", "announce"): 3,
        ("tracker_requests_total", "http", "scrape"): 1,
        ("tracker_requests_total", "http", "refused"): 1,
        ("tracker_requests_total", "udp", "announce"): 1,
        ("tracker_requests_total", "udp", "scrape"): 1,
        ("tracker_requests_total", "udp", "refused"): 1,
        ("tracker_torrents",): 2,
        ("tracker_interval_seconds",): 5,
    }
    assert found["process_resident_memory_bytes",] > 10_000_000
    assert found["process_open_fds",] > 3


async def test_metrics_follow_who_leaves_and_what_is_withdrawn(
    room: Room, publish: Publish, tmp_path: Path, until: Callable[..., Any]
) -> None:
    image = publish("a")
    await room.announce(image, seat=2)
    await room.announce(image, seat=2, event="stopped")
    assert (await metrics(room))["tracker_peers", "leeching", "a"] == 0
    (tmp_path / "a.torrent").unlink()

    async def gone() -> bool:
        found = await metrics(room)
        return found["tracker_torrents",] == 0 and ("tracker_downloads_total", "a") not in found

    await until(gone)


async def filled(room: Room, publish: Publish) -> None:
    image = publish("aula1/windows.img", size=SIZE)
    publish("aula0/idle.img")
    await room.announce(image, seat=1, left=0, uploaded=1080)
    for seat, left in ((10, 500), (9, 0), (100, 999)):
        await room.announce(image, seat=seat, left=left)
    room.clock.now += 2
    await room.announce(image, seat=10, left=300, downloaded=200)


async def test_the_api_tells_of_each_image_and_seat(room: Room, publish: Publish) -> None:
    await filled(room, publish)
    status, body, headers = await room.get("/api/v1/swarms")
    assert (status, headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    told = json.loads(body)
    assert told["interval"] == 5
    windows, idle = told["swarms"]
    assert (idle["name"], idle["seats"]) == ("aula0/idle.img", [])
    assert (windows["size"], windows["done"], windows["filling"]) == (SIZE, 1, 2)
    assert (windows["copies"], windows["piece_length"]) == (1.08, 65536)
    assert [seat["uploaded"] for seat in windows["repository"]] == [1080]
    assert [seat["address"] for seat in windows["seats"]] == ["127.0.0.9", "127.0.0.10", "127.0.0.100"]
    seat = windows["seats"][1]
    assert (
        seat
        | {
            "address": "127.0.0.10",
            "port": 6881,
            "status": "leeching",
            "progress": pytest.approx(0.7),
            "left": 300,
            "uploaded": 0,
            "downloaded": 200,
            "upload_rate": 0,
            "download_rate": 100,
            "seen_ago": 0,
            "late": False,
        }
        == seat
    )


async def test_who_keeps_the_interval_is_late_after_half_of_what_makes_it_lost_and_others_are_not(
    room: Room, publish: Publish
) -> None:
    image = publish("a")
    for _ in range(2):
        await room.announce(image, seat=2)
        room.clock.now += 5
    await room.announce(image, seat=3)  # as a client that comes once a minute, whatever it is told

    async def late() -> list[bool]:
        (swarm,) = json.loads((await room.get("/api/v1/swarms"))[1])["swarms"]
        return [seat["late"] for seat in swarm["seats"] if seat["present"]]

    assert await late() == [False, False]
    room.clock.now += 3
    assert await late() == [True, False]
    room.clock.now += 160
    assert await late() == [False]
    room.clock.now += 3
    assert await late() == [True]


async def test_what_clients_say_can_be_absurd(room: Room, publish: Publish) -> None:
    await room.announce(publish("a", size=SIZE), seat=2, left=9 * 10**18, uploaded=9 * 10**18)
    await room.announce(publish("empty", size=0), seat=2, left=5)
    told = json.loads((await room.get("/api/v1/swarms"))[1])
    assert [seat["progress"] for swarm in told["swarms"] for seat in swarm["seats"]] == [0, 0]
    assert (await room.get("/"))[0] == 200


def test_names_are_sorted_as_people_count() -> None:
    names = ["aula10", "Aula2/b", "aula1", "aula2/a10", "aula2/a9", "²", "9" * 30]
    assert sorted(names, key=natural)[1:-1] == ["aula1", "aula2/a9", "aula2/a10", "Aula2/b", "aula10"]
