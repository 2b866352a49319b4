"""What becomes of a room, as the API tells it: who fills, who is done, gone, lost or slow, and why."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.classroom.stragglers import flat_ceiling

Publish = Callable[..., bytes]
Room = Any
SIZE = 1_000_000_000
MEGABIT = 125_000


async def swarm(room: Room, name: str = "a") -> dict[str, Any]:
    told = json.loads((await room.get("/api/v1/swarms"))[1])
    (found,) = (swarm for swarm in told["swarms"] if swarm["name"] == name)
    return dict(found)


async def seats(room: Room) -> dict[str, dict[str, Any]]:
    return {seat["address"].removeprefix("127.0.0."): seat for seat in (await swarm(room))["seats"]}


async def states(room: Room) -> dict[str, str]:
    return {number: seat["state"] for number, seat in (await seats(room)).items()}


@pytest.fixture
def image(publish: Publish) -> bytes:
    return publish("a", size=SIZE)


class Seats:
    """Seats that fill at rates of their own, heard of every five seconds."""

    def __init__(self, room: Room, image: bytes, rates: dict[int, float], reports: bool = False) -> None:
        self.room, self.image, self.rates, self.reports = room, image, rates, reports
        self.got = dict.fromkeys(rates, 0.0)
        self.facts: dict[int, dict[str, object]] = {number: {} for number in rates}

    async def go(self, seconds: int) -> None:
        for _ in range(0, seconds, 5):
            for number in self.rates:
                await self.tell(number)
            await swarm(self.room)
            self.room.clock.now += 5
            for number, rate in self.rates.items():
                self.got[number] = min(SIZE, self.got[number] + 5 * rate)
        for number in self.rates:
            await self.tell(number)

    async def tell(self, number: int) -> None:
        got = int(self.got[number])
        await self.room.announce(self.image, seat=number, left=SIZE - got, downloaded=got)
        if self.reports:
            told = {"done": got, "download_rate": int(self.rates[number])} | self.facts[number]
            assert await self.room.report(self.image, seat=number, **told) == (200, {"next": 3})


async def test_a_seat_fills_and_is_done_and_stays_so_when_it_goes(room: Room, image: bytes) -> None:
    await room.announce(image, seat=2, left=SIZE)
    assert (await seats(room))["2"]["took"] is None
    room.clock.now += 4
    await room.announce(image, seat=2, left=SIZE // 2, downloaded=SIZE // 2)
    room.clock.now += 4
    await room.announce(image, seat=2, left=0, downloaded=SIZE, event="completed")
    assert await states(room) == {"2": "done"}
    await room.announce(image, seat=2, left=0, downloaded=SIZE, event="stopped")
    seat = (await seats(room))["2"]
    assert (seat["state"], seat["present"], seat["progress"], seat["took"]) == ("done", False, 1, 8)
    room.clock.now += 599
    assert await states(room) == {"2": "done"}
    room.clock.now += 10
    assert await states(room) == {}


async def test_who_leaves_with_the_last_byte_is_done(room: Room, image: bytes) -> None:
    await room.announce(image, seat=2, left=SIZE)
    assert await states(room) == {"2": "filling"}
    room.clock.now += 4
    await room.announce(image, seat=2, left=0, downloaded=SIZE, event="completed")
    await room.announce(image, seat=2, left=0, downloaded=SIZE, event="stopped")
    seat = (await seats(room))["2"]
    assert (seat["state"], seat["present"], seat["took"]) == ("done", False, 4)
    await room.announce(image, seat=2, left=SIZE, event="started")
    assert await states(room) == {"2": "filling"}


async def test_who_says_goodbye_has_left_and_who_says_nothing_is_lost(room: Room, image: bytes) -> None:
    for _ in range(2):
        for seat in (2, 3):
            await room.announce(image, seat=seat, left=SIZE // 4)
        await swarm(room)
        room.clock.now += 4
    await room.announce(image, seat=2, left=SIZE // 4, event="stopped")
    assert await states(room) == {"2": "left", "3": "filling"}
    room.clock.now += 12
    told = await swarm(room)
    assert (told["filling"], told["lost"]) == (0, 2)
    left, lost = told["seats"]
    assert (left["state"], left["trouble"]) == ("left", None)
    assert (lost["state"], lost["progress"]) == ("lost", 0.75)
    assert (lost["trouble"]["kind"], lost["trouble"]["figure"]) == ("lost", 16)


async def test_a_client_with_a_pace_of_its_own_is_lost_when_the_tracker_forgets_it(
    room: Room, image: bytes
) -> None:
    await room.announce(image, seat=2, left=SIZE)
    room.clock.now += 329
    assert await states(room) == {"2": "filling"}
    room.clock.now += 2
    assert await states(room) == {"2": "lost"}


async def test_a_lost_seat_that_comes_back_as_another_client_is_one_seat(room: Room, image: bytes) -> None:
    for _ in range(2):
        await room.announce(image, seat=2, left=SIZE)
        await swarm(room)
        room.clock.now += 5
    await room.announce(image, seat=2, left=SIZE // 2, port=7000, peer_id="y" * 20)
    assert [seat["port"] for seat in (await swarm(room))["seats"]] == [6881, 7000]
    room.clock.now += 10
    await room.announce(image, seat=2, left=SIZE // 2, port=7000, peer_id="y" * 20)
    room.clock.now += 1
    assert [(seat["port"], seat["state"]) for seat in (await swarm(room))["seats"]] == [(7000, "filling")]


async def test_what_a_seat_reports_is_shown_with_its_name(room: Room, image: bytes) -> None:
    await room.announce(image, seat=2, left=SIZE)
    facts: dict[str, object] = {
        "link": 1000,
        "disk_rate": 7,
        "disk_waits": 0.5,
        "reachable": True,
        "cache_size": 9,
        "cache_free": 8,
        "peers": 3,
        "neighbours": [{"address": "127.0.0.9", "port": 1, "down": 2, "up": 3}],
        "availability": [1, 2],
    }
    await room.report(image, seat=2, name="aula1-07", done=SIZE // 2, **facts)
    seat = (await seats(room))["2"]
    assert (seat["name"], seat["progress"]) == ("aula1-07", 0.5)
    assert seat["report"] == facts


async def test_a_seat_that_gives_up_says_why_though_it_never_announced(room: Room, image: bytes) -> None:
    await room.report(image, seat=2, doing="failed", error_code=16, error="The cache is full.", cache_free=5)
    await room.report(image, seat=3, doing="failed", error_code=31, error="Oh.")
    troubles = {number: seat["trouble"] for number, seat in (await seats(room)).items()}
    assert {number: trouble["kind"] for number, trouble in troubles.items()} == {
        "2": "cache-full",
        "3": "failed",
    }
    assert (troubles["2"]["figure"], troubles["2"]["words"]) == (5, "The cache is full.")
    assert troubles["3"]["figure"] == 31
    assert all(trouble["told"] for trouble in troubles.values())


async def test_who_fails_in_mid_fill_and_leaves_the_swarm_has_failed(room: Room, image: bytes) -> None:
    await room.announce(image, seat=2, left=SIZE // 2)
    assert await states(room) == {"2": "filling"}
    await room.report(image, seat=2, doing="failed", error_code=31, error="Oh.", done=SIZE // 2)
    await room.announce(image, seat=2, left=SIZE // 2, event="stopped")
    room.clock.now += 1
    for _ in range(2):
        assert await states(room) == {"2": "failed"}
        room.clock.now += 60


async def test_a_seat_that_checks_what_it_has_and_fails_can_try_again(room: Room, image: bytes) -> None:
    await room.report(image, seat=2, doing="checking", done=SIZE // 2)
    assert await states(room) == {"2": "checking"}
    await room.report(image, seat=2, doing="failed", error_code=31, error="Oh.")
    assert await states(room) == {"2": "failed"}
    room.clock.now += 60
    await room.report(image, seat=2, doing="filling", done=SIZE // 2)
    await room.announce(image, seat=2, left=SIZE // 2)
    seat = (await seats(room))["2"]
    assert (seat["state"], seat["trouble"]) == ("filling", None)
    room.clock.now += 5
    await room.announce(image, seat=2, left=0, event="completed")
    await room.report(image, seat=2, doing="done", done=SIZE)
    assert (await seats(room))["2"]["took"] == 5


async def test_a_report_of_nothing_published_or_of_nothing_at_all_is_refused(
    room: Room, image: bytes
) -> None:
    assert await room.report(b"x" * 20) == (
        400,
        {"error": f"torrent {b'x'.hex() * 20} is not published here"},
    )
    assert await room.report(image, port=-1) == (400, {"error": "port is an integer from 0 to 65535"})
    status, told = await room.report(image, name="x" * 20_000)
    assert (status, told) == (400, {"error": "a report has at most 16384 bytes"})
    assert await states(room) == {}


async def test_who_falls_behind_the_room_is_named_after_ten_seconds(room: Room, image: bytes) -> None:
    filling = Seats(room, image, {2: 10e6, 3: 10e6, 4: 10e6, 5: 2e6})
    await filling.go(5)
    assert not any(seat["trouble"] for seat in (await seats(room)).values())
    await filling.go(10)
    troubled = {number: seat["trouble"] for number, seat in (await seats(room)).items() if seat["trouble"]}
    assert troubled.keys() == {"5"}
    assert (troubled["5"]["kind"], troubled["5"]["figure"]) == ("slow", pytest.approx(0.2))
    filling.rates[5] = 12e6
    await filling.go(15)
    assert not any(seat["trouble"] for seat in (await seats(room)).values())


@pytest.mark.parametrize(
    ("facts", "rate", "kind", "figure"),
    [
        ({"link": 100}, 6e6, "slow-port", 100),
        ({"link": 10}, 1e6, "slow-port", 10),
        ({"link": 1000, "disk_waits": 0.8, "disk_rate": 5_000_000}, 6e6, "slow-disk", 5e6),
        ({"link": 1000, "disk_waits": 0.1}, 94 * MEGABIT, "flat-rate", 100),
        ({"link": None}, 9.4 * MEGABIT, "flat-rate", 10),
        ({"reachable": False}, 6e6, "unreachable", 0),
        ({"reachable": True}, 6e6, "slow", pytest.approx(0.1)),
    ],
)
async def test_the_likely_cause(
    room: Room, image: bytes, facts: dict[str, object], rate: float, kind: str, figure: object
) -> None:
    filling = Seats(room, image, {2: 60e6, 3: 60e6, 4: 60e6, 5: rate}, reports=True)
    filling.facts[5] = facts
    await filling.go(15)
    trouble = (await seats(room))["5"]["trouble"]
    assert (trouble["kind"], trouble["figure"]) == (kind, figure)


async def test_a_slow_port_is_no_cause_where_all_are_slower(room: Room, image: bytes) -> None:
    filling = Seats(room, image, {2: 8e6, 3: 8e6, 4: 8e6, 5: 2e6}, reports=True)
    filling.facts[5] = {"link": 100}
    await filling.go(15)
    assert (await seats(room))["5"]["trouble"]["kind"] == "slow"


async def test_the_rate_is_that_of_reports_where_there_are_any(room: Room, image: bytes) -> None:
    for _ in range(4):
        await room.announce(image, seat=2, left=SIZE)  # of pieces, none is whole yet
        await room.report(image, seat=2, download_rate=7)
        await swarm(room)
        room.clock.now += 5
    assert (await seats(room))["2"]["rate"] == 7


async def test_what_a_seat_had_already_was_not_delivered(room: Room, image: bytes) -> None:
    await room.report(image, seat=2, doing="checking", done=0)
    await swarm(room)
    room.clock.now += 3
    await room.report(image, seat=2, doing="checking", done=SIZE // 2)
    await swarm(room)
    room.clock.now += 3
    await room.announce(image, seat=2, left=SIZE // 2)
    await swarm(room)
    room.clock.now += 3
    await room.announce(image, seat=2, left=0, downloaded=SIZE // 2, event="completed")
    assert (await swarm(room))["deployment"]["delivered"] == SIZE // 2


async def test_a_room_in_which_all_ports_are_slow_has_no_stragglers(room: Room, image: bytes) -> None:
    filling = Seats(room, image, dict.fromkeys((2, 3, 4, 5), 94 * MEGABIT), reports=True)
    filling.facts = {number: {"link": 100, "reachable": False} for number in filling.rates}
    await filling.go(20)
    assert not any(seat["trouble"] for seat in (await seats(room)).values())


async def test_those_who_are_done_say_what_is_usual_too(room: Room, image: bytes) -> None:
    filling = Seats(room, image, {2: 100e6, 3: 100e6, 4: 100e6, 5: 10e6})
    await filling.go(30)
    assert await states(room) == {"2": "done", "3": "done", "4": "done", "5": "filling"}
    assert (await seats(room))["5"]["trouble"]["kind"] == "slow"


async def test_a_deployment_counts_what_left_the_repository_and_what_seats_gave(
    room: Room, image: bytes
) -> None:
    async def repository(uploaded: int) -> None:
        await room.announce(image, seat=1, left=0, uploaded=uploaded)

    await repository(7 * SIZE)  # for rooms before
    await swarm(room)
    for seat in (2, 3, 4, 5):
        await room.announce(image, seat=seat, left=SIZE)
    began = (await swarm(room))["deployment"]["began"]
    assert began == room.clock.wall()
    room.clock.now += 10
    await repository(7 * SIZE + SIZE * 6 // 5)
    for seat in (2, 3, 4):
        await room.announce(image, seat=seat, left=0, downloaded=SIZE, event="completed")
    await room.announce(image, seat=5, left=SIZE // 2, downloaded=SIZE // 2)
    told = (await swarm(room))["deployment"]
    assert (told["copies"], told["delivered"], told["ended"]) == (1.2, 3.5 * SIZE, None)
    assert told["share"] == pytest.approx(1 - 1.2 / 3.5)
    room.clock.now += 4
    await room.announce(image, seat=5, left=0, downloaded=SIZE, event="completed")
    await swarm(room)
    room.clock.now += 31
    for seat in (1, 2, 3, 4, 5):
        await room.announce(image, seat=seat, left=0, uploaded=8 * SIZE)
    told = (await swarm(room))["deployment"]
    assert told["ended"] is not None
    assert told["ended"] - began <= 15
    former = told["id"]
    room.clock.now += 60
    await room.announce(image, seat=6, left=SIZE)
    told = (await swarm(room))["deployment"]
    assert (told["id"] != former, told["ended"], told["delivered"]) == (True, None, 0)


async def test_the_last_seats_time_is_the_rooms(room: Room, image: bytes) -> None:
    filling = Seats(room, image, {2: 10e6, 3: 20e6})
    await filling.go(10)
    told = await swarm(room)
    slow, fast = told["seats"]
    assert slow["time_left"] == pytest.approx(90)
    assert fast["time_left"] == pytest.approx(40)
    assert told["time_left"] == slow["time_left"]
    assert told["rate"] == pytest.approx(30e6)
    filling.rates[2] = 0
    await filling.go(15)
    assert (await swarm(room))["time_left"] is None


@pytest.mark.parametrize(
    ("rates", "port"),
    [
        ([94, 94.1, 93.9, 94], 100),
        ([20, 94, 94.1, 93.9, 94], 100),  # the start does not count
        ([9.4] * 4, 10),
        ([94] * 3, None),
        ([94, 60, 94, 94], None),
        ([70] * 4, None),
        ([0] * 4, None),
    ],
)
def test_a_flat_ceiling_is_just_below_a_ports_rate(rates: list[float], port: int | None) -> None:
    assert flat_ceiling([rate * MEGABIT for rate in rates]) == port


@given(st.lists(st.floats(0, 1e12), max_size=50))
def test_a_flat_ceiling_is_only_seen_where_there_is_one(rates: list[float]) -> None:
    ceiling = flat_ceiling(rates)
    if ceiling is not None:
        assert len(rates) >= 4
        assert all(0.7 * ceiling < rate / MEGABIT < 1.2 * ceiling for rate in rates[-4:])
