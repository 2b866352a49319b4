"""Swarms without a network and without a clock."""

import random
from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.handout import IPAddress, hand_out, subnet
from tracker.request import AnnounceRequest, Event, InfoHash, PeerId
from tracker.swarm import Answer, News, Peer, PeerStatus, Source, Swarms, Tally, interval_for

IMAGE = InfoHash(b"i" * 20)
SERVER = ip_address("10.1.0.1")


def request(seat: int, left: int = 1000, **more: object) -> AnnounceRequest:
    made = AnnounceRequest(IMAGE, PeerId(b"%020d" % seat), 6881, left)
    return replace(made, **more)  # type: ignore[arg-type]


def source(seat: int, reached_at: IPAddress = SERVER) -> Source:
    return Source(ip_address("10.1.0.0") + seat, reached_at)


def at(address: str, reached_at: str = "10.1.0.1") -> Source:
    return Source(ip_address(address), ip_address(reached_at))


@pytest.fixture
def swarms() -> Swarms:
    return Swarms(random.Random(1))


def addresses(answer: Answer) -> list[str]:
    return sorted(str(contact.address) for contact in answer.contacts)


def test_the_second_announcer_gets_the_first_and_never_itself(swarms: Swarms) -> None:
    assert swarms.announce(IMAGE, request(2), source(2), 0).contacts == ()
    assert addresses(swarms.announce(IMAGE, request(3), source(3), 0)) == ["10.1.0.2"]
    assert addresses(swarms.announce(IMAGE, request(3), source(3), 1)) == ["10.1.0.2"]


def test_a_seed_gets_leechers_and_no_seeds(swarms: Swarms) -> None:
    swarms.announce(IMAGE, request(2, left=0), source(2), 0)
    swarms.announce(IMAGE, request(3), source(3), 0)
    assert addresses(swarms.announce(IMAGE, request(4, left=0), source(4), 0)) == ["10.1.0.3"]


@pytest.mark.parametrize(
    ("again", "where"),
    [
        (request(2, port=7000, key=b"new"), source(5)),
        (request(9, port=7000, key=b"k"), source(2)),
        (request(9, key=b"new"), source(2)),
    ],
    ids=["same peer_id", "same key and address", "same address and port"],
)
def test_a_client_that_comes_again_takes_its_own_place(
    swarms: Swarms, again: AnnounceRequest, where: Source
) -> None:
    swarms.announce(IMAGE, request(2, left=0, key=b"k"), source(2), 0)
    answer = swarms.announce(IMAGE, again, where, 1)
    assert answer.contacts == ()
    assert answer.tally == Tally(complete=0, incomplete=1)
    assert len(swarms.peers(IMAGE)) == 1


def test_another_client_behind_the_same_address_is_another_client(swarms: Swarms) -> None:
    swarms.announce(IMAGE, request(2, key=b"a"), source(2), 0)
    assert len(swarms.announce(IMAGE, request(3, key=b"b", port=6882), source(2), 0).contacts) == 1


def test_who_stops_is_out_and_gets_nobody(swarms: Swarms) -> None:
    swarms.announce(IMAGE, request(2), source(2), 0)
    swarms.announce(IMAGE, request(3), source(3), 0)
    answer = swarms.announce(IMAGE, request(2, event=Event.STOPPED), source(2), 1)
    assert (answer.contacts, answer.tally, answer.news) == ((), Tally(incomplete=1), News.LEFT)


def test_the_late_goodbye_of_a_restarted_client_leaves_the_new_one_in(swarms: Swarms) -> None:
    swarms.announce(IMAGE, request(2, key=b"old"), source(2), 0)
    swarms.announce(IMAGE, request(3, key=b"new"), source(2), 1)
    swarms.announce(IMAGE, request(2, key=b"old", event=Event.STOPPED), source(2), 2)
    assert [peer.peer_id for peer in swarms.peers(IMAGE)] == [request(3).peer_id]


def test_a_peer_that_keeps_the_interval_is_lost_after_three(swarms: Swarms) -> None:
    swarms.announce(IMAGE, request(2), source(2), 0)
    swarms.announce(IMAGE, request(3), source(3), 0)
    swarms.announce(IMAGE, request(2), source(2), 5)
    swarms.announce(IMAGE, request(3), source(3), 10)
    assert swarms.expire(19.9) == []
    assert [peer.peer_id for _, peer in swarms.expire(20)] == [request(2).peer_id]
    assert swarms.expire(24.9) == []
    assert len(swarms.expire(25)) == 1
    assert swarms.tally(IMAGE) == Tally()


def test_a_peer_that_waits_five_minutes_as_libtorrent_does_is_not_lost(swarms: Swarms) -> None:
    swarms.announce(IMAGE, request(2), source(2), 0)
    swarms.announce(IMAGE, request(2, left=0, event=Event.COMPLETED), source(2), 8)
    for now in range(10, 308, 7):
        assert swarms.expire(now) == []
    swarms.announce(IMAGE, request(2, left=0), source(2), 308)
    assert swarms.expire(308 + 329) == []
    assert len(swarms.expire(308 + 330)) == 1


def test_a_peer_that_proves_itself_late_is_due_sooner(swarms: Swarms) -> None:
    swarms.announce(IMAGE, request(2), source(2), 0)
    assert swarms.expire(15) == []  # unproven: its lease is long
    for now in (16, 21):
        swarms.announce(IMAGE, request(2), source(2), now)
    assert swarms.expire(35.9) == []
    assert len(swarms.expire(36)) == 1


def test_a_peer_that_left_and_came_back_keeps_its_new_lease(swarms: Swarms) -> None:
    swarms.announce(IMAGE, request(2), source(2), 0)
    swarms.announce(IMAGE, request(2, event=Event.STOPPED), source(2), 1)
    for now in (14, 19):
        swarms.announce(IMAGE, request(2), source(2), now)
    assert swarms.expire(33) == []
    assert len(swarms.expire(34)) == 1


@pytest.mark.parametrize(
    ("peers", "seconds"), [(0, 5), (30, 5), (1000, 5), (1001, 6), (200_000, 1000), (10**6, 1800)]
)
def test_the_interval_follows_the_load(peers: int, seconds: int) -> None:
    assert interval_for(peers) == seconds


def test_the_interval_counts_the_peers_of_all_swarms(swarms: Swarms) -> None:
    for image in (b"a" * 20, b"b" * 20):
        for seat in range(600):
            swarms.announce(InfoHash(image), request(seat, numwant=0), source(seat), 0)
    assert swarms.interval == 6
    swarms.keep_only({InfoHash(b"a" * 20)})
    assert swarms.interval == 5
    swarms.expire(400)
    assert swarms.announce(IMAGE, request(1), source(1), 400).tally.incomplete == 1


def test_a_download_is_counted_once(swarms: Swarms) -> None:
    swarms.announce(IMAGE, request(2), source(2), 0)
    done = swarms.announce(IMAGE, request(2, left=0, event=Event.COMPLETED), source(2), 1)
    again = swarms.announce(IMAGE, request(2, left=0, event=Event.COMPLETED), source(2), 2)
    assert (done.news, done.tally) == (News.FINISHED, Tally(1, 0, 1))
    assert (again.news, again.tally) == (None, Tally(1, 0, 1))


def test_rates_come_from_two_announces(swarms: Swarms) -> None:
    swarms.announce(IMAGE, request(2, downloaded=100, uploaded=50), source(2), 0)
    swarms.announce(IMAGE, request(2, downloaded=600, uploaded=60), source(2), 5)
    (peer,) = swarms.peers(IMAGE)
    assert (peer.download_rate, peer.upload_rate) == (100, 2)


def test_a_counter_that_starts_again_is_no_negative_rate(swarms: Swarms) -> None:
    swarms.announce(IMAGE, request(2, downloaded=100), source(2), 0)
    swarms.announce(IMAGE, request(2, downloaded=0), source(2), 5)
    assert swarms.peers(IMAGE)[0].download_rate == 0


@pytest.mark.parametrize(
    ("seed", "announcer", "reached_at", "handed"),
    [
        ("127.0.0.1", "10.1.0.7", "10.1.0.1", "10.1.0.1"),
        ("::1", "10.1.0.7", "10.1.0.1", "10.1.0.1"),
        ("127.0.0.1", "fd00::7", "fd00::1", "fd00::1"),
        ("127.0.0.1", "127.0.0.7", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.5", "127.0.0.7", "127.0.0.1", "127.0.0.5"),
        ("10.1.0.5", "127.0.0.1", "127.0.0.1", "10.1.0.5"),
        ("10.1.0.5", "10.1.0.7", "10.1.0.1", "10.1.0.5"),
    ],
)
def test_a_seed_on_loopback_is_handed_out_where_the_tracker_was_reached(
    swarms: Swarms, seed: str, announcer: str, reached_at: str, handed: str
) -> None:
    swarms.announce(IMAGE, request(2, left=0), at(seed, seed), 0)
    assert addresses(swarms.announce(IMAGE, request(3), at(announcer, reached_at), 0)) == [handed]


seats = st.lists(
    st.tuples(st.integers(2, 120), st.integers(0, 3), st.sampled_from([False] * 7 + [True])), max_size=80
)


@settings(deadline=None, max_examples=60)
@given(
    seats,
    st.integers(2, 120),
    st.booleans(),
    st.integers(0, 6) | st.integers(0, 60),
    st.randoms(use_true_random=False),
)
def test_whoever_asks(
    others: list[tuple[int, int, bool]], asker: int, complete: bool, wanted: int, rng: random.Random
) -> None:
    swarms = Swarms(rng)
    for seat, net, seeding in others:
        swarms.announce(IMAGE, request(seat, left=not seeding), at(f"10.1.{net}.{seat}"), 0)
    former = swarms.peers(IMAGE)
    asking = request(asker, left=not complete, numwant=wanted)
    answer = swarms.announce(IMAGE, asking, at(f"10.1.0.{asker}"), 0)
    got = {contact.peer_id for contact in answer.contacts}
    seeds = {peer.peer_id for peer in former if peer.seeding and peer.peer_id != asking.peer_id}
    assert asking.peer_id not in got
    assert len(got) == len(answer.contacts) <= wanted
    if complete:
        assert not got & seeds
    elif wanted and any(str(peer.address) != f"10.1.0.{asker}" for peer in former if peer.peer_id in seeds):
        assert got & seeds


def crowd(count: int, net: int, seeding: bool = False) -> list[Peer]:
    swarms = Swarms(random.Random(1))
    for seat in range(count):
        swarms.announce(IMAGE, request(seat + 1000 * net, left=not seeding), at(f"10.1.{net}.{seat}"), 0)
    return list(swarms.peers(IMAGE))


OWN = ip_address("10.1.1.200")
NEAR = subnet(OWN)


def test_all_but_one_come_from_the_own_room() -> None:
    chosen = hand_out(OWN, False, crowd(100, 1) + crowd(100, 2), 40, random.Random(1))
    assert [peer.subnet == NEAR for peer in chosen].count(True) == 39
    assert len(chosen) == 40


def test_who_has_few_neighbours_gets_some_from_elsewhere() -> None:
    chosen = hand_out(OWN, False, crowd(1, 1) + crowd(100, 2), 40, random.Random(1))
    assert [peer.subnet == NEAR for peer in chosen].count(True) == 1
    assert len(chosen) == 3


def test_who_comes_from_elsewhere_is_the_same_each_time_and_another_for_each_announcer() -> None:
    everyone = crowd(20, 1) + crowd(100, 2)

    def stranger(own: str, number: int) -> list[Peer]:
        chosen = hand_out(ip_address(own), False, everyone, 40, random.Random(number))
        return [peer for peer in chosen if peer.subnet != NEAR]

    assert stranger("10.1.1.200", 1) == stranger("10.1.1.200", 2)
    assert len({peer for host in range(100, 130) for peer in stranger(f"10.1.1.{host}", 1)}) > 15


def test_the_seed_beside_the_tracker_is_handed_out_to_every_room_though_seats_seed_too() -> None:
    swarms = Swarms(random.Random(1))
    swarms.announce(IMAGE, request(1, left=0), at("127.0.0.1", "127.0.0.1"), 0)
    everyone = crowd(50, 1, seeding=True) + crowd(50, 2, seeding=True) + list(swarms.peers(IMAGE))
    for number in range(20):
        chosen = hand_out(OWN, False, everyone, 10, random.Random(number))
        assert any(peer.beside_tracker for peer in chosen)
        assert len(set(chosen)) == len(chosen) == 10


def test_the_one_seed_of_a_great_crowd_is_always_handed_out() -> None:
    everyone = crowd(200, 1) + crowd(200, 2) + crowd(1, 3, seeding=True)
    for number in range(30):
        chosen = hand_out(OWN, False, everyone, 10, random.Random(number))
        assert sum(peer.seeding for peer in chosen) == 1
        assert len(set(chosen)) == 10


def test_the_hand_out_depends_on_the_given_randomness_alone() -> None:
    everyone = crowd(200, 1)
    one, same, other = (hand_out(OWN, False, everyone, 10, random.Random(n)) for n in (1, 1, 2))
    assert one == same != other


def test_ipv6_rooms_are_told_apart_by_64_bits() -> None:
    assert subnet(ip_address("fd00:0:0:1::5")) == subnet(ip_address("fd00:0:0:1:9::5"))
    assert subnet(ip_address("fd00:0:0:1::5")) != subnet(ip_address("fd00:0:0:2::5"))


def test_a_status_is_read_from_the_event_and_the_bytes_left() -> None:
    assert PeerStatus.from_event_and_left(Event.STOPPED, 0) is PeerStatus.STOPPED
    assert PeerStatus.from_event_and_left(Event.COMPLETED, 0) is PeerStatus.SEEDING
    assert PeerStatus.from_event_and_left(Event.STARTED, 1) is PeerStatus.LEECHING
