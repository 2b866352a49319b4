"""Calls in the own room: what is one, when one is due, and who hears it."""

from __future__ import annotations

import asyncio
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machines import DEADLINE, NETWORK, image, until

from ogtorrent.layout import ImagePath, recognise
from ogtorrent.repository.publish import publish
from ogtorrent.swarm import policy
from ogtorrent.swarm.neighbours import LONGEST_PAUSE, SILENCE, Air, Call, Schedule
from ogtorrent.swarm.session import Session
from ogtorrent.swarm.torrent import Start

WINDOWS = bytes(range(20))
CALLER, SEAT, ELSEWHERE = f"{NETWORK}.241", f"{NETWORK}.242", "127.251.0.243"
NOBODY = f"http://{NETWORK}.240:9/announce"


@given(st.integers(1, 65535), st.lists(st.binary(min_size=20, max_size=20), min_size=1, max_size=9))
def test_a_call_is_read_as_it_was_made(port: int, info_hashes: list[bytes]) -> None:
    call = Call(port, tuple(info_hashes), "5eed")
    assert Call.decode(call.encode()) == call


LINES = st.sampled_from(
    [
        "BT-SEARCH * HTTP/1.1",
        "Port: 6881",
        "Port: 0",
        "Port: ²",
        "infohash: " + "0a" * 20,
        "Infohash: " + "xy" * 20,
    ]
)


@given(
    st.binary(max_size=200)
    | st.lists(LINES | st.text(max_size=20)).map(lambda some: "\r\n".join(some).encode())
)
def test_whatever_else_comes_is_none_or_a_call_of_somebody_somewhere(datagram: bytes) -> None:
    call = Call.decode(datagram)
    assert call is None or (0 < call.port < 65536 and all(len(one) == 20 for one in call.info_hashes))


def test_who_is_lost_calls_soon_and_then_ever_more_seldom() -> None:
    schedule = Schedule()
    assert not schedule.due(True, now=0.0)
    calls = [now / 4 for now in range(4 * 600) if schedule.due(True, now / 4)]
    pauses = [after - before for before, after in pairwise(calls)]
    assert calls[0] == SILENCE and pauses == sorted(pauses) and pauses[-1] == LONGEST_PAUSE
    assert not schedule.due(False, now=600.0), "a tracker is there"
    assert not schedule.due(True, now=600.5)
    assert schedule.due(True, now=600.5 + SILENCE), "as soon as the first time"


def test_a_call_is_heard_in_the_own_room_alone_and_not_by_the_caller() -> None:
    with closing(Air(CALLER)) as caller, closing(Air(SEAT)) as seat, closing(Air(ELSEWHERE)) as elsewhere:
        caller.call(6881, WINDOWS)
        elsewhere.call(6882, WINDOWS)
        ((source, call),) = until(lambda: list(seat.heard()))
        assert (source[0], call.port, call.info_hashes) == (CALLER, 6881, (WINDOWS,))
        assert not [*caller.heard(), *elsewhere.heard(), *seat.heard()]
        seat.answer(source, 6883, WINDOWS)
        (((address, _), call),) = until(lambda: list(caller.answers()))
        assert (address, call.port, call.info_hashes) == (SEAT, 6883, (WINDOWS,))


@pytest.mark.room
async def test_a_seat_that_no_tracker_answers_is_met_by_one_that_is_whole(tmp_path: Path) -> None:
    source = tmp_path / "images" / "windows.img"
    image(source, 1_000_000)
    windows = publish(recognise(source.parent), ImagePath.parse(source.name), (), lambda done: None)
    lost, whole = Session(policy.seat(CALLER, 0)), Session(policy.seat(SEAT, 0))
    try:
        for session, address in ((lost, CALLER), (whole, SEAT)):
            await session.port()
            session.meet_neighbours(address)
        whole.add(windows, source, (), Start.WHOLE)
        filling = lost.add(windows, tmp_path / "windows.img", (NOBODY,), Start.FILL)
        assert await filling.whole(DEADLINE)
    finally:
        await asyncio.gather(lost.close(), whole.close())
    assert (tmp_path / "windows.img").read_bytes() == source.read_bytes()
