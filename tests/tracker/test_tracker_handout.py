"""What the hand-out promises: to an announcer, and to a room as a whole."""

import random
from collections.abc import Coroutine
from ipaddress import ip_network
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.handout import hand_out, strangers_wanted
from tracker.networks import Networks
from tracker.request import AnnounceRequest, Event, InfoHash, PeerId
from tracker.swarm.memory import MemoryStore
from tracker.swarm.peer import Answer, Source
from tracker.swarm.state import State

IMAGE = InfoHash(b"i" * 20)
T = TypeVar("T")

peers = st.integers(0, 40)
chance = st.randoms(use_true_random=False)


@settings(deadline=None)
@given(
    peers, peers, st.integers(0, 3), st.booleans(), peers, st.booleans(), st.randoms(use_true_random=False)
)
def test_whoever_asks(
    leeching: int, seeding: int, strangers: int, seed: bool, wanted: int, known: bool, rng: random.Random
) -> None:
    leechers, seeds = range(leeching), range(100, 100 + seeding)
    must = (100 if seeding else 999) if seed else None
    asker = leeching - 1 if known and leeching else None
    elsewhere = list(range(200, 200 + strangers))
    chosen = hand_out(leechers, seeds, elsewhere, must, wanted, rng, asker)
    assert len(set(chosen)) == len(chosen) <= wanted
    assert asker not in chosen
    assert set(chosen) <= {*leechers, *seeds, *elsewhere, must}
    if wanted:
        assert must is None or must in chosen
        assert not seeding or seed or wanted < 2 or any(one in seeds for one in chosen)
        # Nobody gets fewer than it could.
        enough = leeching + seeding + len(elsewhere) - (asker is not None) + (must == 999)
        assert len(chosen) >= min(wanted, enough) - 1


def test_all_but_the_strangers_come_from_the_own_room() -> None:
    chosen = hand_out(range(100), [], [900], None, 40, random.Random(1))
    assert (len(chosen), [one for one in chosen if one >= 900]) == (40, [900])


@pytest.mark.parametrize(
    ("neighbours", "elsewhere", "place", "strangers"),
    [
        # Who has few neighbours needs others to exchange with, whoever it is.
        (0, 100, 0, 3),
        (1, 100, 1, 2),
        (2, 100, 2, 1),
        (0, 2, 0, 2),
        # Two rooms of eight: three seats of each; three rooms: six; and of four all.
        (7, 8, 2, 1),
        (7, 8, 3, 0),
        (7, 16, 5, 1),
        (7, 16, 6, 0),
        (7, 24, 7, 1),
        # A great room and one seat elsewhere.
        (99, 1, 0, 1),
        (99, 1, 1, 0),
        (99, 0, 0, 0),
    ],
)
def test_how_many_peers_of_other_rooms_a_seat_gets(
    neighbours: int, elsewhere: int, place: int, strangers: int
) -> None:
    assert strangers_wanted(neighbours, elsewhere, place, 50) == strangers


def test_of_a_great_room_each_gets_its_share_of_seeds_and_leechers() -> None:
    chosen = hand_out(range(300), range(1000, 1100), [], None, 40, random.Random(1))
    assert (len(chosen), sum(one >= 1000 for one in chosen)) == (40, 10)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of one that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise AssertionError("it waits")


class Building:
    """Rooms of seats, what each has been told, and so which seats can be connected."""

    def __init__(self, seed: int, *, rooms: tuple[str, ...] = ()) -> None:
        self.rng = random.Random(seed)
        self.store = MemoryStore(
            random.Random(seed), Networks(rooms={ip_network(room): room for room in rooms}).room_of, State()
        )
        self.now = 0.0
        self.told: dict[bytes, set[bytes]] = {}
        self.left: dict[bytes, int] = {}

    def announce(self, address: bytes, left: int | None = None, numwant: int = 50) -> Answer:
        self.left[address] = self.left.get(address, 1000) if left is None else left
        peer_id = PeerId(address.rjust(20, b"-"))
        request = AnnounceRequest(IMAGE, peer_id, 6881, self.left[address], numwant=numwant)
        answer = run(self.store.announce(IMAGE, request, Source(address, b"\x0a\0\0\1"), self.now))
        self.told.setdefault(address, set()).update(endpoint[:-2] for endpoint in answer.endpoints)
        return answer

    def leave(self, address: bytes, *, silently: bool) -> None:
        if not silently:
            request = AnnounceRequest(
                IMAGE, PeerId(address.rjust(20, b"-")), 6881, self.left[address], event=Event.STOPPED
            )
            run(self.store.announce(IMAGE, request, Source(address, b"\x0a\0\0\1"), self.now))
        del self.told[address], self.left[address]

    def everybody_again(self, numwant: int = 50) -> None:
        self.now += 5
        for address in self.rng.sample(list(self.told), len(self.told)):
            self.announce(address, numwant=numwant)
        more = True
        while more:
            _, more = run(self.store.expire(self.now, 1000))

    def islands(self, room: bytes = b"") -> int:
        """How many parts there are, of the whole or of one room, that know nothing of each other."""
        seats = {seat for seat in self.told if seat.startswith(room)}
        graph: dict[bytes, set[bytes]] = {seat: set() for seat in seats}
        for seat in seats:
            for other in self.told[seat] & seats:
                graph[seat].add(other)
                graph[other].add(seat)
        count = 0
        while seats:
            count += 1
            edge = {seats.pop()}
            while edge:
                edge = set().union(*(graph[seat] for seat in edge)) & seats
                seats -= edge
        return count


def seat(room: int, number: int) -> bytes:
    return bytes((10, room >> 8, room & 0xFF, number))


SIZES = [(1, 8), (1, 30), (1, 200), (2, 8), (7, 30), (10, 200), (250, 8), (300, 1), (150, 2)]


@pytest.mark.parametrize(("rooms", "seats"), SIZES)
@pytest.mark.parametrize("numwant", [50, 200])
def test_no_room_and_no_building_falls_into_islands(rooms: int, seats: int, numwant: int) -> None:
    building = Building(seed=rooms + seats)
    for room in range(rooms):
        for number in range(seats):
            building.announce(seat(room, number), numwant=numwant)
    building.everybody_again(numwant)
    assert building.islands() == 1
    for room in range(rooms):
        assert building.islands(seat(room, 0)[:3]) == 1


def test_when_all_that_joined_the_rooms_die_others_take_their_places() -> None:
    building = Building(seed=8)
    for room in range(3):
        for number in range(20):
            building.announce(seat(room, number))
    building.everybody_again()
    for address in [
        one for one, told in building.told.items() if any(one[:3] != other[:3] for other in told)
    ]:
        building.leave(address, silently=True)
    assert building.islands() == 3
    for _ in range(4):  # until the dead are known to be dead
        building.everybody_again()
    assert building.islands() == 1


def test_a_great_room_is_one_graph_in_which_all_are_near() -> None:
    building = Building(seed=1, rooms=("10.0.0.0/16",))
    for number in range(2000):
        building.announce(seat(number // 200, number % 200))
    assert building.islands() == 1
    # A third of the seats is switched off, and before anybody asks again the rest still hangs together.
    for gone in building.rng.sample(sorted(building.told), 650):
        building.leave(gone, silently=True)
    assert building.islands() == 1
    building.everybody_again()
    reached, steps = {seat(0, 5)} & set(building.told) or {next(iter(building.told))}, 0
    while len(reached) < len(building.told):
        reached |= set().union(*(building.told[one] for one in reached)) & set(building.told)
        steps += 1
        assert steps <= 4


churn = st.lists(
    st.tuples(st.sampled_from(["dies", "leaves", "comes", "finishes", "wait"]), st.integers(0, 999))
)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 5), st.integers(1, 40), churn, st.integers(0, 1000), st.sampled_from([5, 50, 200]))
def test_whoever_comes_goes_dies_and_finishes_those_who_fill_are_never_islands(
    rooms: int, seats: int, events: list[tuple[str, int]], seed: int, numwant: int
) -> None:
    building = Building(seed)
    for room in range(rooms):
        for number in range(seats):
            building.announce(seat(room, number), numwant=numwant)
    for what, which in events:
        here = sorted(building.told)
        if what == "comes" or not here:
            building.announce(seat(which % rooms, 100 + which % 100), numwant=numwant)
        elif what == "finishes":
            building.announce(here[which % len(here)], left=0, numwant=numwant)
        elif what == "wait":
            building.everybody_again(numwant)
        else:
            building.leave(here[which % len(here)], silently=what == "dies")
    for _ in range(4):  # until the dead are known to be dead
        building.everybody_again(numwant)
    filling = [address for address, left in building.left.items() if left]
    if filling:
        # Seeds are not told of seeds, so a seed that nobody asks for anything may stand alone.
        for address in [address for address, left in building.left.items() if not left]:
            if not any(address in building.told[other] for other in filling):
                del building.told[address]
        assert building.islands() == 1


SERVER = bytes((10, 0, 0, 1))


def test_the_repositorys_seed_is_in_every_answer_though_seats_seed_too() -> None:
    building = Building(seed=3)
    building.announce(SERVER, left=0)
    for room in range(1, 6):
        for number in range(60):
            answer = building.announce(seat(room, number), left=1000 * (number % 3), numwant=10)
            assert (SERVER + b"\x1a\xe1" in answer.endpoints) == (number % 3 > 0)


def test_the_repositorys_seed_is_not_what_joins_the_rooms() -> None:
    building = Building(seed=3)
    building.announce(SERVER, left=0)
    for room in range(1, 4):
        building.announce(seat(room, 1))
    for room in range(4, 24):
        answer = building.announce(seat(room, 1), numwant=4)
        assert len(answer.endpoints) == 4  # the seed, and all of three others


def test_a_few_seats_join_two_rooms_and_stay_the_same_until_they_leave() -> None:
    building = Building(seed=4)
    for number in range(60):
        building.announce(seat(1, number))
        building.announce(seat(2, number))

    def bridges() -> dict[bytes, bytes]:
        found = {}
        for address in [one for one in building.told if one.startswith(seat(1, 0)[:3])]:
            answer = building.announce(address)
            strangers = [one for one in answer.endpoints if one.startswith(seat(2, 0)[:3])]
            if strangers:
                (found[address],) = strangers
        return found

    first = bridges()
    assert len(first) == 3
    assert bridges() == first
    here, there = next(iter(first.items()))
    building.leave(there[:-2], silently=False)
    then = bridges()
    assert then[here] != there
    assert all(then[one] == first[one] for one in first if first[one] != there)
    building.leave(here, silently=False)
    assert len(bridges()) == 3


def test_seats_of_one_group_sit_together_though_their_subnets_differ() -> None:
    building = Building(seed=5, rooms=("10.0.0.0/23",))
    for number in range(40):
        building.announce(seat(number % 4, number))
    answer = building.announce(seat(0, 99), numwant=21)
    assert sum(endpoint[2] in (0, 1) for endpoint in answer.endpoints) == 20
