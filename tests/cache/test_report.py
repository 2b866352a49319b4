"""From what a seat knows to what its server reads; and how fast its cable is."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogtorrent.cache import events, link
from ogtorrent.cache.options import TorrentOptions
from ogtorrent.cache.order import Order
from ogtorrent.cache.report import Machine, Moment, report
from ogtorrent.fetch.catalogue import Server
from ogtorrent.layout import ImagePath, Layout, Mirror, cache_root, recognise
from ogtorrent.repository.publish import publish
from ogtorrent.swarm.session import Work
from ogtorrent.swarm.sight import Neighbour, Sight
from tracker.classroom import report as told
from tracker.classroom.report import Doing, Report

AMOUNTS = st.integers(0, 2**40)
MACHINES = st.builds(
    Machine,
    port=st.integers(0, 65535),
    link=st.none() | st.integers(1, 400_000),
    cache_size=st.none() | AMOUNTS,
    cache_free=st.none() | AMOUNTS,
)
SIGHTS = st.builds(
    Sight,
    done=AMOUNTS,
    taken=AMOUNTS,
    given=AMOUNTS,
    neighbours=st.lists(
        st.builds(Neighbour, st.ip_addresses().map(str), st.integers(0, 65535), AMOUNTS, AMOUNTS), max_size=60
    ),
    availability=st.lists(st.integers(0, 250), max_size=300),
)
EVENTS = st.sampled_from(
    [
        (events.Started("a", "/a", 1), Doing.CHECKING),
        (events.Checking(1, 2), Doing.CHECKING),
        (events.Progress(1, 2, 3, 4, 5, 6, None, ""), Doing.FILLING),
        (events.Done("a", "/a", 1, 1.0, 1, 0, 1, 0), Doing.DONE),
        (events.Failed("The cache is full.", 16), Doing.FAILED),
    ]
)
MACHINE = Machine(6881, 1000, 10, 5)
WORKS = st.builds(Work, taken=AMOUNTS, writing=AMOUNTS.map(lambda us: us / 1e6), reached=st.booleans())
NOTHING = Work(0, 0.0, False)


@pytest.fixture(scope="module")
def order(tmp_path_factory: pytest.TempPathFactory) -> Order:
    home = tmp_path_factory.mktemp("repository")
    (home / "images").mkdir()
    (home / "images" / "windows.img").write_bytes(b"windows")
    published = publish(recognise(home / "images"), ImagePath.parse("windows.img"), (), lambda done: None)
    root = cache_root(home, Mirror(Layout.BARE, "images", ""))
    server = Server("repository", 6969, "10.0.0.1")
    return Order(home, root, published, TorrentOptions.parse("peer:0"), (), server, False, "aula1-pc07")


def read(written: dict[str, object]) -> Report:
    return told.parse(json.dumps(written).encode())


@given(st.data())
def test_the_server_reads_whatever_a_seat_can_know(order: Order, data: st.DataObject) -> None:
    last, doing = data.draw(EVENTS)
    machine, done = data.draw(MACHINES), data.draw(AMOUNTS)
    now = data.draw(st.builds(Moment, st.floats(10, 20), WORKS, st.none() | SIGHTS))
    before = data.draw(st.none() | st.builds(Moment, st.floats(0, 9), WORKS, st.none() | SIGHTS))
    if before:  # a session's counts only rise
        did, does = now.work, before.work
        more = Work(did.taken + does.taken, did.writing + does.writing, did.reached)
        now = replace(now, work=more)
    said = read(report(order, last, done, machine, now, before))
    assert (said.info_hash, said.name, said.doing, said.done) == (
        order.metainfo.info_hash, "aula1-pc07", doing, done,
    )  # fmt: skip
    assert said.link == machine.link and said.reachable == now.work.reached
    assert (said.error_code, said.error) == (
        (16, "The cache is full.") if doing is Doing.FAILED else (None, "")
    )
    assert said.peers == (len(now.sight.neighbours) if now.sight else 0)


def shown(order: Order, sight: Sight) -> dict[str, object]:
    return report(order, events.Checking(0, 1), 0, MACHINE, Moment(1.0, NOTHING, sight), None)


def since(order: Order, before: Moment, now: Moment) -> Report:
    return read(report(order, events.Checking(0, 1), 0, MACHINE, now, before))


def test_of_many_peers_the_busiest_are_told(order: Order) -> None:
    before = [Neighbour("10.0.0.1", port, 10_000 - port, 9_000 + port) for port in range(40)]
    now = [replace(peer, taken=10_000, given=9_000 + 3 * peer.port) for peer in before]
    now[7] = Neighbour("10.0.0.1", 7, 500, 100)  # connected anew
    sights = Sight(0, 0, 0, before, []), Sight(0, 0, 0, now, [])
    said = since(order, Moment(1.0, NOTHING, sights[0]), Moment(2.0, NOTHING, sights[1]))
    assert said.peers == 40
    assert [peer.port for peer in said.neighbours] == [7, *range(39, 24, -1)]
    assert [(peer.down, peer.up) for peer in said.neighbours[:2]] == [(500, 100), (39, 78)]


@pytest.mark.parametrize(
    ("pieces", "bars"),
    [([], []), ([3], [3]), (list(range(48)), list(range(48))), ([5, 0, *[7] * 94], [0, *[7] * 47])],
)
def test_a_part_of_the_image_is_as_rare_as_its_rarest_piece(
    order: Order, pieces: list[int], bars: list[int]
) -> None:
    said = read(shown(order, Sight(0, 0, 0, [], pieces)))
    assert list(said.availability) == bars


@pytest.mark.parametrize(
    ("work", "rate", "waits"),
    [
        (Work(61_000_000, 3.0, False), 30_000_000, 0.5),
        (Work(1_000_000, 1.0, False), None, 0.0),
        (Work(1_000_000, 9.0, False), None, 1.0),  # what came before: it wrote for long
    ],
)
def test_a_disk_is_as_fast_as_it_was_while_it_wrote(
    order: Order, work: Work, rate: int | None, waits: float
) -> None:
    said = since(order, Moment(5.0, Work(1_000_000, 1.0, False), None), Moment(9.0, work, None))
    assert (said.disk_rate, said.disk_waits) == (rate, waits)


def test_a_seat_that_has_everything_and_is_not_done_waits_for_its_disk(order: Order) -> None:
    size = order.metainfo.size
    last = events.Progress(size, size, 0, 0, 0, 0, None, "")
    said = [
        read(report(order, last, done, MACHINE, Moment(4.0, NOTHING, None), Moment(1.0, NOTHING, None)))
        for done in (size - 1, size)
    ]
    assert [one.disk_waits for one in said] == [0.0, 1.0]


def test_rates_are_those_since_the_last_report(order: Order) -> None:
    first, second = Sight(0, 1_000, 500, [], []), Sight(0, 7_000, 1_500, [], [])
    said = since(order, Moment(1.0, NOTHING, first), Moment(3.0, NOTHING, second))
    assert (said.download_rate, said.upload_rate) == (3_000, 500)
    said = since(order, Moment(1.0, NOTHING, second), Moment(3.0, NOTHING, first))  # another torrent
    assert (said.download_rate, said.upload_rate) == (500, 250)


def card(at: Path, name: str, speed: str | None, lower: str = "") -> Path:
    """An interface as /sys/class/net shows it; with a speed, one with a device."""
    (at / name).mkdir()
    if speed is not None:
        (at / name / "device").mkdir()
        (at / name / "speed").write_text(speed)
    if lower:
        (at / name / f"lower_{lower}").symlink_to(at / lower)
    return at / name


def test_a_cable_is_as_fast_as_the_card_says_and_a_virtual_one_says_nothing(tmp_path: Path) -> None:
    assert link.cable(card(tmp_path, "eth0", "100\n")) == 100
    assert link.cable(card(tmp_path, "ens3", "-1\n")) is None
    assert link.cable(card(tmp_path, "veth0", None)) is None
    assert link.cable(card(tmp_path, "br0", None, lower="eth0")) == 100
    assert link.cable(card(tmp_path, "br1", None, lower="veth0")) is None
    assert link.cable(tmp_path / "gone") is None


def test_an_address_of_this_machine_has_its_interface() -> None:
    for name, addresses in psutil.net_if_addrs().items():
        v4 = [one.address for one in addresses if one.family is socket.AF_INET]
        v6 = [one.address for one in addresses if one.family is socket.AF_INET6]
        assert [link.interface(address) for address in v4[:1] + v6] == [name] * len(v4[:1] + v6)
    assert link.interface("192.0.2.254") is None and link.interface("2001:db8::1") is None
    assert link.speed("127.0.0.1") is None
