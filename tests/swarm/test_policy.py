"""What a seat asks for first."""

from collections import Counter
from ipaddress import IPv4Address, ip_address

from hypothesis import given
from hypothesis import strategies as st

from ogtorrent.swarm import policy
from ogtorrent.swarm.policy import ALL, IPAddress

ADDRESSES = st.frozensets(st.ip_addresses(), min_size=1, max_size=40)


def first_choices(seat: IPAddress, known: frozenset[IPAddress], pieces: int) -> set[int]:
    wanted = policy.priorities(pieces, policy.stripe(seat, known))
    return {index for index, priority in enumerate(wanted) if priority == policy.STRIPE_PRIORITY}


@given(ADDRESSES, st.integers(0, 3000))
def test_seats_that_know_each_other_share_out_every_piece_once(
    room: frozenset[IPAddress], pieces: int
) -> None:
    choices = [first_choices(seat, room - {seat}, pieces) for seat in room]

    claimed = Counter(index for choice in choices for index in choice)

    assert claimed == Counter(range(pieces))
    assert max(map(len, choices)) - min(map(len, choices)) <= 1


@given(ADDRESSES, st.data())
def test_a_seat_that_knows_a_part_of_the_room_has_a_stripe_all_the_same(
    room: frozenset[IPAddress], data: st.DataObject
) -> None:
    seat = data.draw(st.sampled_from(sorted(room, key=str)))
    known = data.draw(st.frozensets(st.sampled_from(sorted(room, key=str))))

    assert first_choices(seat, known, 1000)


def test_a_seat_alone_wants_every_piece_alike() -> None:
    assert policy.stripe(IPv4Address("10.0.0.1"), []) == ALL
    assert len(set(policy.priorities(100, ALL))) == 1


def test_no_piece_is_ever_refused() -> None:
    assert all(priority > 0 for priority in policy.priorities(100, policy.stripe(ip_address("::1"), [])))
