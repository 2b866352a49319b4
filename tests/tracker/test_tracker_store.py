"""The contract of every store of swarms, without a network of seats and without a clock."""

import random
from collections.abc import AsyncIterator

import pytest

from tracker.networks import Networks, address_text, endpoint_text, packed_address
from tracker.request import AnnounceRequest, Event, InfoHash, PeerId
from tracker.swarm.memory import MemoryStore
from tracker.swarm.peer import Answer, News, PeerStatus, Source, Tally
from tracker.swarm.state import State
from tracker.swarm.store import Store, interval_for
from tracker.swarm.valkey import ValkeyStore

IMAGE = InfoHash(b"i" * 20)
EVERYBODY = 10_000


def request(seat: int, left: int = 1000, **more: object) -> AnnounceRequest:
    made = AnnounceRequest(IMAGE, PeerId(b"%020d" % seat), 6881, left)
    return made._replace(**more)  # type: ignore[arg-type]


def packed(address: str) -> bytes:
    found = packed_address(address)
    assert found is not None
    return found


def at(address: str, reached_at: str = "10.1.0.1") -> Source:
    return Source(packed(address), packed(reached_at))


def source(seat: int) -> Source:
    return at(f"10.1.{seat // 200}.{seat % 200}")


@pytest.fixture(params=["memory", "valkey"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    opened: Store
    if request.param == "memory":
        opened = MemoryStore(random.Random(1), Networks().room_of, State())
    else:
        opened = ValkeyStore(request.getfixturevalue("valkey"), random.Random(1), Networks().room_of)
    yield opened
    await opened.close()


def addresses(answer: Answer) -> list[str]:
    return sorted(address_text(endpoint[:-2]) for endpoint in answer.endpoints)


async def expire(store: Store, now: float) -> list[bytes]:
    """The peer ids of those that are lost."""
    lost, more = await store.expire(now, EVERYBODY)
    assert not more
    return [peer.peer_id for _, peer in lost]


async def test_the_second_announcer_gets_the_first_and_never_itself(store: Store) -> None:
    assert (await store.announce(IMAGE, request(2), source(2), 0)).endpoints == []
    assert addresses(await store.announce(IMAGE, request(3), source(3), 0)) == ["10.1.0.2"]
    assert addresses(await store.announce(IMAGE, request(3), source(3), 1)) == ["10.1.0.2"]


async def test_a_seed_gets_leechers_and_no_seeds(store: Store) -> None:
    await store.announce(IMAGE, request(2, left=0), source(2), 0)
    await store.announce(IMAGE, request(3), source(3), 0)
    assert addresses(await store.announce(IMAGE, request(4, left=0), source(4), 0)) == ["10.1.0.3"]


@pytest.mark.parametrize(
    ("again", "where"),
    [
        (request(2, port=7000, key=b"k"), source(5)),
        (request(2, port=7000, key=b"k"), source(2)),
        (request(9, key=b"new"), source(2)),
        (request(2, key=b"new"), source(2)),
    ],
    ids=["another address", "another port", "restarted", "another key"],
)
async def test_a_client_that_comes_again_takes_its_own_place(
    store: Store, again: AnnounceRequest, where: Source
) -> None:
    await store.announce(IMAGE, request(2, left=0, key=b"k"), source(2), 0)
    answer = await store.announce(IMAGE, again, where, 1)
    assert answer.endpoints == []
    assert answer.tally == Tally(complete=0, incomplete=1)
    assert len(await store.peers(IMAGE)) == 1


async def test_who_has_the_peer_id_of_another_but_not_its_key_does_not_turn_it_out(store: Store) -> None:
    await store.announce(IMAGE, request(2, key=b"mine"), source(2), 0)
    answer = await store.announce(IMAGE, request(2, key=b"another"), source(3), 1)
    assert addresses(answer) == [address_text(source(2).address)]
    await store.announce(IMAGE, request(2, key=b"another", event=Event.STOPPED), source(3), 2)
    assert (await store.tally(IMAGE)).incomplete == 1


async def test_one_that_takes_the_places_of_two_is_one(store: Store) -> None:
    await store.announce(IMAGE, request(2, key=b"k"), source(2), 0)
    await store.announce(IMAGE, request(3), source(3), 0)
    answer = await store.announce(IMAGE, request(2, key=b"k"), source(3), 1)
    assert (answer.endpoints, answer.tally) == ([], Tally(incomplete=1))
    assert await expire(store, 1000) == [request(2).peer_id]


async def test_a_client_with_two_kinds_of_addresses_is_one_peer_and_handed_out_by_the_askers_kind(
    store: Store,
) -> None:
    both = request(2, key=b"k")
    await store.announce(IMAGE, both, at("10.1.0.2"), 0)
    await store.announce(IMAGE, both._replace(port=6882), at("fd00::2", "fd00::1"), 1)
    (peer,) = await store.peers(IMAGE)
    assert (peer.endpoint4, peer.room) == (packed("10.1.0.2") + b"\x1a\xe1", packed("10.1.0.2")[:3])
    for address, port in (("10.1.0.3", "10.1.0.2:6881"), ("fd00::3", "[fd00::2]:6882")):
        answer = await store.announce(IMAGE, request(3), at(address), 2)
        assert [endpoint_text(endpoint) for endpoint in answer.endpoints] == [port]
    assert (await store.tally(IMAGE)).incomplete == 2


async def test_who_has_no_address_of_the_askers_kind_is_handed_out_by_the_one_it_has(store: Store) -> None:
    await store.announce(IMAGE, request(2), at("fd00::2"), 0)
    assert addresses(await store.announce(IMAGE, request(3), at("10.1.0.3"), 0)) == ["fd00::2"]


async def test_peer_ids_come_with_the_endpoints_where_they_are_asked_for(store: Store) -> None:
    for seat in range(2, 6):
        await store.announce(IMAGE, request(seat), source(seat), 0)
    answer = await store.announce(IMAGE, request(9, compact=False), source(9), 0)
    assert sorted(zip(answer.endpoints, answer.peer_ids, strict=True)) == [
        (source(seat).address + b"\x1a\xe1", request(seat).peer_id) for seat in range(2, 6)
    ]


async def test_another_client_behind_the_same_address_is_another_client(store: Store) -> None:
    await store.announce(IMAGE, request(2, key=b"a"), source(2), 0)
    answer = await store.announce(IMAGE, request(3, key=b"b", port=6882), source(2), 0)
    assert len(answer.endpoints) == 1


async def test_who_stops_is_out_and_gets_nobody(store: Store) -> None:
    await store.announce(IMAGE, request(2), source(2), 0)
    await store.announce(IMAGE, request(3), source(3), 0)
    answer = await store.announce(IMAGE, request(2, event=Event.STOPPED), source(2), 1)
    assert (answer.endpoints, answer.tally, answer.news) == ([], Tally(incomplete=1), News.LEFT)


async def test_the_late_goodbye_of_a_restarted_client_leaves_the_new_one_in(store: Store) -> None:
    await store.announce(IMAGE, request(2, key=b"old"), source(2), 0)
    await store.announce(IMAGE, request(3, key=b"new"), source(2), 1)
    await store.announce(IMAGE, request(2, key=b"old", event=Event.STOPPED), source(2), 2)
    assert [peer.peer_id for peer in await store.peers(IMAGE)] == [request(3).peer_id]


async def test_a_peer_that_keeps_the_interval_is_lost_after_three(store: Store) -> None:
    await store.announce(IMAGE, request(2), source(2), 0)
    await store.announce(IMAGE, request(3), source(3), 0)
    await store.announce(IMAGE, request(2), source(2), 5)
    await store.announce(IMAGE, request(3), source(3), 10)
    assert await expire(store, 19.9) == []
    assert await expire(store, 20) == [request(2).peer_id]
    assert await expire(store, 24.9) == []
    assert len(await expire(store, 25)) == 1
    assert await store.tally(IMAGE) == Tally()


async def test_a_peer_that_waits_five_minutes_as_libtorrent_does_is_not_lost(store: Store) -> None:
    await store.announce(IMAGE, request(2), source(2), 0)
    await store.announce(IMAGE, request(2, left=0, event=Event.COMPLETED), source(2), 8)
    for now in range(10, 308, 7):
        assert await expire(store, now) == []
    await store.announce(IMAGE, request(2, left=0), source(2), 308)
    assert await expire(store, 308 + 329) == []
    assert len(await expire(store, 308 + 330)) == 1


async def test_a_peer_that_proves_itself_late_is_due_sooner(store: Store) -> None:
    await store.announce(IMAGE, request(2), source(2), 0)
    assert await expire(store, 15) == []  # unproven: its lease is long
    for now in (16, 21):
        await store.announce(IMAGE, request(2), source(2), now)
    assert await expire(store, 35.9) == []
    assert len(await expire(store, 36)) == 1


async def test_a_peer_that_left_and_came_back_keeps_its_new_lease(store: Store) -> None:
    await store.announce(IMAGE, request(2), source(2), 0)
    await store.announce(IMAGE, request(2, event=Event.STOPPED), source(2), 1)
    for now in (14, 19):
        await store.announce(IMAGE, request(2), source(2), now)
    assert await expire(store, 33) == []
    assert len(await expire(store, 34)) == 1


@pytest.mark.parametrize(
    ("peers", "seconds"), [(0, 5), (30, 5), (1000, 5), (1001, 6), (200_000, 1000), (10**6, 1800)]
)
def test_the_interval_follows_the_load(peers: int, seconds: int) -> None:
    assert interval_for(peers) == seconds


@pytest.mark.room
async def test_the_interval_counts_the_peers_of_all_swarms(store: Store) -> None:
    for image in (b"a" * 20, b"b" * 20):
        for seat in range(600):
            await store.announce(InfoHash(image), request(seat, numwant=0), source(seat), 0)
    assert await store.interval() == 6
    await store.withdraw(InfoHash(b"b" * 20))
    assert await store.interval() == 5
    assert await store.peers(InfoHash(b"b" * 20)) == []
    assert len(await expire(store, 400)) == 600
    assert (await store.announce(IMAGE, request(1), source(1), 400)).tally.incomplete == 1


async def test_a_download_is_counted_once(store: Store) -> None:
    await store.announce(IMAGE, request(2), source(2), 0)
    done = await store.announce(IMAGE, request(2, left=0, event=Event.COMPLETED), source(2), 1)
    again = await store.announce(IMAGE, request(2, left=0, event=Event.COMPLETED), source(2), 2)
    assert (done.news, done.tally) == (News.FINISHED, Tally(1, 0, 1))
    assert (again.news, again.tally) == (None, Tally(1, 0, 1))


async def test_rates_come_from_two_announces(store: Store) -> None:
    await store.announce(IMAGE, request(2, downloaded=100, uploaded=50), source(2), 0)
    await store.announce(IMAGE, request(2, downloaded=600, uploaded=60), source(2), 5)
    (peer,) = await store.peers(IMAGE)
    assert (peer.download_rate, peer.upload_rate) == (100, 2)


async def test_a_counter_that_starts_again_is_no_negative_rate(store: Store) -> None:
    await store.announce(IMAGE, request(2, downloaded=100), source(2), 0)
    await store.announce(IMAGE, request(2, downloaded=0), source(2), 5)
    (peer,) = await store.peers(IMAGE)
    assert peer.download_rate == 0


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
async def test_a_seed_on_loopback_is_handed_out_where_the_tracker_was_reached(
    store: Store, seed: str, announcer: str, reached_at: str, handed: str
) -> None:
    await store.announce(IMAGE, request(2, left=0), at(seed, seed), 0)
    assert addresses(await store.announce(IMAGE, request(3), at(announcer, reached_at), 0)) == [handed]


@pytest.mark.parametrize("address", ["10.1.0.7", "fd00::7"])
async def test_behind_a_proxy_on_this_host_nobody_gets_a_seed_that_it_cannot_reach(
    store: Store, address: str
) -> None:
    await store.announce(IMAGE, request(2, left=0), at("127.0.0.1", "127.0.0.1"), 0)
    answer = await store.announce(IMAGE, request(3, compact=False), at(address, "127.0.0.1"), 0)
    assert (answer.endpoints, answer.peer_ids) == ([], [])


async def test_expiry_looks_at_no_more_than_it_may(store: Store) -> None:
    for seat in range(25):
        await store.announce(IMAGE, request(seat), source(seat), seat % 3)
    gone = []
    while True:
        lost, more = await store.expire(1000, 10)
        assert len(lost) <= 10
        gone += lost
        if not more:
            break
    assert len(gone) == 25
    assert await store.tally(IMAGE) == Tally()


async def test_a_withdrawn_torrent_keeps_its_count_of_downloads(store: Store) -> None:
    await store.announce(IMAGE, request(2, left=0, event=Event.COMPLETED), source(2), 0)
    await store.withdraw(IMAGE)
    assert await store.tally(IMAGE) == Tally(downloaded=1)
    assert await store.peers(IMAGE) == []
    assert await expire(store, 1000) == []


def in_room(number: int, seat: int) -> Source:
    return at(f"10.2.{number}.{seat}")


async def test_rooms_are_joined_by_few_who_stay_the_same(store: Store) -> None:
    seats = [(number, seat) for seat in range(1, 9) for number in range(5)]
    before: dict[tuple[int, int], set[bytes]] = {}
    for turn in range(3):
        met: dict[tuple[int, int], list[Source]] = {}
        for number, seat in seats:
            asked = request(number * 100 + seat)
            answer = await store.announce(IMAGE, asked, in_room(number, seat), turn * 5)
            met[number, seat] = [Source(one[:-2], b"") for one in answer.endpoints]
        bridges = {
            place: {one.address for one in there if one.address[2] != place[0]}
            for place, there in met.items()
        }
        if turn == 2:
            assert bridges == before
        before = bridges
    # The first of each room found fewer than three beside it, and keeps those from elsewhere for one turn.
    assert all(len(there) == 1 for there in bridges.values())
    assert all(len(there) == 8 for there in met.values())
    reached, todo = set(), [in_room(*seats[0]).address]
    while todo:
        address = todo.pop()
        if address not in reached:
            reached.add(address)
            todo += [one.address for one in met[address[2], address[3]]]
    assert len(reached) == len(seats)


async def test_three_seats_of_each_join_two_rooms(store: Store) -> None:
    seats = [(number, seat) for seat in range(1, 9) for number in (1, 2)]
    for turn in range(3):
        joined = dict.fromkeys((1, 2), 0)
        for number, seat in seats:
            asked = request(number * 100 + seat)
            answer = await store.announce(IMAGE, asked, in_room(number, seat), turn * 5)
            joined[number] += any(one[2] != number for one in answer.endpoints)
    assert joined == {1: 3, 2: 3}


async def test_one_in_a_room_of_its_own_is_joined_to_a_great_room(store: Store) -> None:
    for seat in range(1, 101):
        await store.announce(IMAGE, request(seat, left=seat % 2), in_room(1, seat), 0)
    answer = await store.announce(IMAGE, request(999), in_room(2, 1), 1)
    assert len(answer.endpoints) >= 3
    assert {address[2] for address in map(bytes, answer.endpoints)} == {1}
    alone = in_room(2, 1).address
    turns = [await store.announce(IMAGE, request(1, left=1), in_room(1, 1), turn) for turn in (2, 7)]
    for answer in turns:
        assert [one[:-2] for one in answer.endpoints if one[2] != 1] == [alone]


async def test_a_seat_gets_as_many_as_it_wants_and_the_repositorys_seed_among_them(store: Store) -> None:
    await store.announce(IMAGE, request(1, left=0), at("10.3.0.1", "10.3.0.1"), 0)
    for seat in range(2, 200):
        await store.announce(IMAGE, request(seat, left=seat % 4), source(seat), 0)
    for wanted in (0, 1, 2, 5, 50, 200):
        for left in (0, 1):
            answer = await store.announce(IMAGE, request(5, left, numwant=wanted), source(5), 1)
            got = addresses(answer)
            assert len(set(got)) == len(got) == min(wanted, 198 if left else 148)
            assert ("10.3.0.1" in got) == bool(left and wanted)


async def test_a_seed_that_comes_again_gets_no_more_from_elsewhere(store: Store) -> None:
    for seat in (1, 2, 3):
        await store.announce(IMAGE, request(seat), in_room(1, seat), 0)
        await store.announce(IMAGE, request(10 + seat), in_room(2, seat), 0)
    for turn in range(3):
        answer = await store.announce(IMAGE, request(20, left=0), in_room(1, 20), turn)
        assert sorted(one[2] for one in answer.endpoints) == [1, 1, 1, 2]


async def test_without_the_repository_one_whole_seat_elsewhere_takes_its_place(store: Store) -> None:
    for seat in range(1, 31):
        await store.announce(IMAGE, request(seat, left=seat % 10), in_room(1, seat), 0)
        await store.announce(IMAGE, request(100 + seat), in_room(2, seat), 0)
    for seat in range(1, 6):
        turns = [await store.announce(IMAGE, request(100 + seat), in_room(2, seat), turn) for turn in (1, 6)]
        assert any(one[2] == 1 and one[3] % 10 == 0 for one in turns[0].endpoints)
        assert sorted(turns[0].endpoints) == sorted(turns[1].endpoints)


async def test_a_seed_of_the_repository_that_has_left_is_not_handed_out(store: Store) -> None:
    seed, place = request(1, left=0), at("10.3.0.1", "10.3.0.1")
    await store.announce(IMAGE, seed, place, 0)
    assert addresses(await store.announce(IMAGE, request(2), in_room(1, 2), 0)) == ["10.3.0.1"]
    await store.announce(IMAGE, seed._replace(event=Event.STOPPED), place, 1)
    assert addresses(await store.announce(IMAGE, request(2), in_room(1, 2), 2)) == []


async def test_who_moves_to_another_room_is_joined_to_the_others_from_there(store: Store) -> None:
    for seat in range(1, 11):
        await store.announce(IMAGE, request(seat), in_room(1, seat), 0)
    moving = request(99, key=b"k")
    await store.announce(IMAGE, moving, in_room(2, 99), 1)
    for seat in range(50, 110):
        await store.announce(IMAGE, request(seat), in_room(3, seat), 2)
    answer = await store.announce(IMAGE, moving, in_room(1, 99), 3)
    assert sorted(one[2] for one in answer.endpoints) == [1] * 10 + [3]


async def test_who_was_looked_at_and_lives_is_not_looked_at_again_at_once(store: Store) -> None:
    await store.announce(IMAGE, request(2), source(2), 0)
    looks = [await store.expire(16, 1) for _ in range(2)]
    assert looks[-1] == ([], False)


async def test_who_wants_nobody_keeps_those_that_it_was_given(store: Store) -> None:
    for seat in range(1, 30):
        await store.announce(IMAGE, request(seat), in_room(1 + seat % 3, seat), 0)
    first = await store.announce(IMAGE, request(99), in_room(9, 99), 1)
    await store.announce(IMAGE, request(99, numwant=0), in_room(9, 99), 2)
    again = await store.announce(IMAGE, request(99), in_room(9, 99), 3)
    assert sorted(first.endpoints) == sorted(again.endpoints)


async def test_many_come_and_go_and_nobody_is_counted_twice(store: Store) -> None:
    rng = random.Random(7)
    here: dict[int, int] = {}
    for step in range(600):
        seat, left = rng.randrange(60), rng.choice((0, 1000))
        event = Event.STOPPED if rng.random() < 0.3 else Event.NONE
        answer = await store.announce(IMAGE, request(seat, left, event=event), source(seat), step / 100)
        here.pop(seat, None)
        if event is not Event.STOPPED:
            here[seat] = left
        seeds = sum(not left for left in here.values())
        assert answer.tally == Tally(seeds, len(here) - seeds)
        got = {endpoint[:-2] for endpoint in answer.endpoints}
        assert len(got) == len(answer.endpoints)
        assert got <= {source(one).address for one in here if one != seat}
    assert {peer.peer_id for peer in await store.peers(IMAGE)} == {request(one).peer_id for one in here}
    assert len(await expire(store, 10_000)) == len(here)


def test_a_status_is_read_from_the_event_and_the_bytes_left() -> None:
    assert PeerStatus.from_event_and_left(Event.STOPPED, 0) is PeerStatus.STOPPED
    assert PeerStatus.from_event_and_left(Event.COMPLETED, 0) is PeerStatus.SEEDING
    assert PeerStatus.from_event_and_left(Event.STARTED, 1) is PeerStatus.LEECHING
