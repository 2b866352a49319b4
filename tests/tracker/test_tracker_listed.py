"""A site's own list of its PCs: rooms, names and who is missed are what it says at the moment."""

import json
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from typing import Any

import pytest

from tracker.networks import Listed, Networks

Publish = Callable[..., bytes]
Room = Any


@pytest.fixture
def networks() -> Networks:
    return Networks(rooms={ip_network("127.0.0.0/28"): "hall"})


@pytest.fixture
def image(publish: Publish) -> bytes:
    return publish("a", size=1_000_000)


async def told(room: Room) -> Any:
    return json.loads((await room.get("/api/v1/swarms"))[1])


async def seats(room: Room) -> dict[str, tuple[str, str]]:
    """Names and rooms by address."""
    (swarm,) = (await told(room))["swarms"]
    return {seat["address"]: (seat["name"], seat["room"]) for seat in swarm["seats"]}


async def test_the_list_counts_before_networks_and_before_what_a_seat_calls_itself(
    room: Room, image: bytes
) -> None:
    room.tracker.networks.know([Listed("127.0.0.2", "pc-two", "aula1"), Listed("127.0.0.3", "pc-three")])
    for number in (2, 3, 4, 20):
        await room.announce(image, seat=number)
        await room.report(image, seat=number, name=f"localhost{number}")
    assert await seats(room) == {
        "127.0.0.2": ("pc-two", "aula1"),
        "127.0.0.3": ("pc-three", "hall"),
        "127.0.0.4": ("localhost4", "hall"),
        "127.0.0.20": ("localhost20", "127.0.0.0/24"),
    }


async def test_seats_that_are_there_take_on_what_the_list_says_now(
    room: Room, image: bytes, until: Callable[..., Awaitable[None]]
) -> None:
    await room.announce(image, seat=2)
    assert await seats(room) == {"127.0.0.2": ("", "hall")}
    for listed in (Listed("127.0.0.2", "pc1", "aula1"), Listed("127.0.0.2", "pc2", "aula2")):
        room.tracker.networks.know([listed])
        assert await seats(room) == {"127.0.0.2": (listed.name, listed.room)}
        assert b"pc" in (await room.get(f"/rooms/{listed.room}"))[1]

    async def is_kept() -> bool:
        room.clock.now += 1
        await told(room)
        deployments = json.loads((await room.get("/history.json"))[1])["deployments"]
        return [one["rooms"] for one in deployments] == [["aula2"]]

    await until(is_kept)
    room.tracker.networks.know([])
    assert await seats(room) == {"127.0.0.2": ("", "hall")}


async def test_who_is_listed_and_not_there_is_missed_in_its_room(room: Room, image: bytes) -> None:
    room.tracker.networks.know(
        [
            Listed("127.0.0.2", "pc2", "aula1"),
            Listed("::ffff:127.0.0.3", "pc3", "aula1"),
            Listed("127.0.0.4", "pc4"),
            Listed("nowhere", "pc5", "aula1"),
        ]
    )
    await room.announce(image, seat=2)
    assert (await told(room))["unseen"] == [
        {"address": "127.0.0.3", "name": "pc3", "room": "aula1"},
        {"address": "127.0.0.4", "name": "pc4", "room": "hall"},
    ]
    await room.announce(image, seat=3)
    assert [pc["name"] for pc in (await told(room))["unseen"]] == ["pc4"]


async def test_a_newcomer_is_given_peers_of_the_room_that_the_list_says(room: Room, image: bytes) -> None:
    async def ports(seat: int) -> set[int]:
        """The seats that an announcer is given, by the ports that they take."""
        peers = (await room.announce(image, seat=seat, port=7000 + seat))[b"peers"]
        return {int.from_bytes(peers[at + 4 : at + 6], "big") - 7000 for at in range(0, len(peers), 6)}

    for number in range(1, 15):
        everybody = await ports(number + 1)
    assert everybody == set(range(2, 15))
    here, there = range(2, 9), range(9, 16)
    room.tracker.networks.know(
        [
            *(Listed(f"127.0.0.{number}", f"pc{number}", "aula1") for number in here),
            *(Listed(f"127.0.0.{number}", f"pc{number}", "aula2") for number in there),
        ]
    )
    for number in (*here, *there):
        given = await ports(number)
    # Its own room, and the few who join the rooms to each other.
    assert set(there) - {15} <= given
    assert len(given & set(here)) <= 2
