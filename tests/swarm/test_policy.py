"""What a seat asks for first."""

from collections import Counter
from ipaddress import IPv4Address, ip_address

from hypothesis import given
from hypothesis import strategies as st

from ogtorrent.swarm import policy
from ogtorrent.swarm.policy import ALL, IPAddress

ROOM = st.frozensets(
    st.integers(1, 254).map(lambda host: ip_address(f"10.0.5.{host}")), min_size=1, max_size=40
)
SEVERAL_ROOMS = st.frozensets(
    st.tuples(st.integers(1, 4), st.integers(1, 254)).map(
        lambda seat: ip_address(f"10.0.{seat[0]}.{seat[1]}")
    ),
    min_size=1,
    max_size=40,
)


def pieces_of(seat: IPAddress, known: frozenset[IPAddress], pieces: int, priority: int) -> set[int]:
    wanted = policy.priorities(pieces, policy.stripe(seat, known))
    return {index for index, given in enumerate(wanted) if given >= priority}


@given(ROOM, st.integers(0, 3000))
def test_seats_that_know_each_other_share_out_every_piece_once(
    room: frozenset[IPAddress], pieces: int
) -> None:
    choices = [pieces_of(seat, room - {seat}, pieces, policy.OWN) for seat in room]

    assert Counter(index for choice in choices for index in choice) == Counter(range(pieces))
    assert max(map(len, choices)) - min(map(len, choices)) <= 1


@given(SEVERAL_ROOMS, st.integers(0, 1000))
def test_every_room_brings_in_every_piece_once(seats: frozenset[IPAddress], pieces: int) -> None:
    by_room: dict[bytes, Counter[int]] = {}
    for seat in seats:
        brought = pieces_of(seat, seats - {seat}, pieces, policy.OWN)
        by_room.setdefault(policy.subnet(seat), Counter()).update(brought)

    assert all(brought == Counter(range(pieces)) for brought in by_room.values())


@given(st.integers(1, 4), st.integers(1, 8), st.integers(0, 1000))
def test_rooms_of_the_same_size_fetch_every_piece_from_the_repository_once(
    rooms: int, seats: int, pieces: int
) -> None:
    everybody = frozenset(ip_address(f"10.0.{room}.{seat}") for room in range(rooms) for seat in range(seats))
    at_home = [pieces_of(seat, everybody - {seat}, pieces, policy.HOME) for seat in everybody]

    assert Counter(index for choice in at_home for index in choice) == Counter(range(pieces))


@given(SEVERAL_ROOMS, st.data())
def test_a_seat_that_knows_a_part_of_the_room_has_a_stripe_all_the_same(
    seats: frozenset[IPAddress], data: st.DataObject
) -> None:
    seat = data.draw(st.sampled_from(sorted(seats, key=str)))
    known = data.draw(st.frozensets(st.sampled_from(sorted(seats, key=str))))

    assert pieces_of(seat, known, 1000, policy.HOME)


def test_a_seat_alone_wants_every_piece_alike() -> None:
    assert policy.stripe(IPv4Address("10.0.0.1"), []) == ALL
    assert len(set(policy.priorities(100, ALL))) == 1


def test_no_piece_is_ever_refused() -> None:
    assert all(priority > 0 for priority in policy.priorities(100, policy.stripe(ip_address("::1"), [])))
