"""What the announcers of benchmarks.announce say, how they judge answers, and the table that comes of it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network

import pytest

from benchmarks.announce import Outcome, Row, Trial, lines
from benchmarks.announcer import (
    NUMWANT,
    SEATS,
    Announcer,
    EventCode,
    Verdict,
    is_answer,
    is_whole,
    judge,
    judge_datagram,
    rooms,
)
from benchmarks.crowd import by_the_clock, visit_http
from benchmarks.trackers import Door
from tracker.http.query import parse_announce
from tracker.request import Event

HASH = bytes(range(236, 256))


def reply(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def test_the_tracker_understands_the_http_announce() -> None:
    target = Announcer(HASH, 7).request(event=EventCode.STARTED).split(b" ")[1]
    announce = parse_announce(target.partition(b"?")[2])
    assert announce.info_hash == HASH
    assert announce.peer_id == Announcer(HASH, 7).peer_id
    assert announce.port == Announcer(HASH, 7).port
    assert (announce.event, announce.numwant, announce.compact) == (Event.STARTED, NUMWANT, True)


def test_the_udp_announce_is_laid_out_as_bep_15_says() -> None:
    announcer = Announcer(HASH, 7)
    datagram = announcer.datagram(5, 6, EventCode.STARTED)
    assert len(datagram) == 98
    assert struct.unpack_from(">QII", datagram) == (5, 1, 6)
    assert datagram[16:36] == HASH
    assert datagram[36:56] == announcer.peer_id
    assert struct.unpack_from(">IIIiH", datagram, 80) == (2, 0, 7, NUMWANT, announcer.port)


def test_each_torrent_has_a_room_and_each_peer_an_address() -> None:
    peers = rooms([HASH, HASH[::-1]])
    assert len({peer.address for peer in peers}) == 2 * SEATS
    networks = {(peer.info_hash, ip_network(f"{peer.address}/24", strict=False)) for peer in peers}
    assert len(networks) == 2
    greatest = Announcer(HASH, 100_000)
    assert greatest.address == "127.14.5.11"
    assert 1024 < greatest.port < 65536


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (reply(b"d5:peers6:\x7f\0\0\1\x1a\xe1e"), Verdict.GOOD),
        (reply(b"d5:peers0:e"), Verdict.EMPTY),
        (reply(b"d14:failure reason4:busye"), Verdict.REFUSED),
        (reply(b"5:peers6:\x7f\0\0\1\x1a\xe1", b"503 Busy"), Verdict.REFUSED),
        (b"", Verdict.REFUSED),
    ],
)
def test_an_http_answer_is_judged(answer: bytes, verdict: Verdict) -> None:
    assert judge(answer) is verdict


def test_a_reply_is_whole_with_its_last_byte() -> None:
    whole = reply(b"d5:peers0:e")
    assert is_whole(whole)
    assert not is_whole(whole[:-1])
    assert not is_whole(b"HTTP/1.1 200 OK\r\n")


def test_a_datagram_is_judged() -> None:
    head = struct.pack(">IIIII", 1, 9, 60, 0, 1)
    assert judge_datagram(head + bytes(6), 9) is Verdict.GOOD
    assert judge_datagram(head, 9) is Verdict.EMPTY
    assert judge_datagram(head + bytes(6), 8) is Verdict.REFUSED
    assert is_answer(head, 9) and not is_answer(head, 8) and not is_answer(b"", 9)
    assert judge_datagram(struct.pack(">II", 3, 9) + b"not published here", 9) is Verdict.REFUSED


@pytest.fixture
def silent() -> Iterator[Door]:
    """A server that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()


def test_who_waits_for_an_answer_does_not_hold_up_the_clock(
    silent: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.crowd._PATIENCE", 0.2)
    with ThreadPoolExecutor(1) as thread:  # beside the test's own event loop
        visits = thread.submit(by_the_clock, silent, [Announcer(HASH, n) for n in range(5)], 100).result()
    assert visits.span < 0.2
    assert visits.failures == {"TimeoutError": 5}
    assert visits.failed == 5
    assert visits.waits == [0.2] * 5


def test_nobody_listens_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        door = listener.getsockname()
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(visit(door))


async def visit(door: Door) -> Verdict:
    return await visit_http(door, Announcer(HASH, 1), EventCode.NONE)


def test_the_table_marks_what_misses_its_goal_and_what_was_not_saturated() -> None:
    def turns(*rates: float, cpu: float) -> Outcome:
        return Outcome([{"rate": rate, "over_bare": rate / 100, "cpu": cpu} for rate in rates])

    test = Trial("test", "a test", (), lambda server, exam: {}, [Row("over_bare", "over bare", ".1f", 0.8)])
    outcomes = {"ogtorrent": turns(60, 70, 80, cpu=1), "opentracker": turns(90, cpu=0.5), "bare": Outcome()}
    assert lines(test, outcomes) == [
        "| a test | over bare | ≥ 0.8 | **0.7 (0.6–0.8)** | 0.9, not saturated | absent |"
    ]
