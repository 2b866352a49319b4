"""Faults on the network, staged in a room; each tells its row of docs/faults.md."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from benchmarks.room import Host, Room
from ogtorrent.swarm import metainfo

from .faults import seen, share, stands, tell
from .laboratory import (
    MEBIBYTE,
    TRACKER_PORT,
    Event,
    Repository,
    Seat,
    skip_without_room,
    until,
    write_random,
)

pytestmark = pytest.mark.room

IMAGE, HONEST = "aula1/windows.img", "aula1/linux.img"
HERE = Path(__file__).parent
DOOR = 7000  # the port of the bad tracker
PULLED = 30.0  # seconds


@pytest.fixture(autouse=True)
def possible() -> None:
    skip_without_room(curl="curl")


def test_a_peer_that_sends_garbage_is_banned(tmp_path: Path) -> None:
    size = 24 * MEBIBYTE
    with Room(seats=4, rate=100) as room:
        repository = Repository(room.repository, tmp_path / "repository")
        write_random(repository.images / HONEST, size, seed=1)
        digest = write_random(repository.images / IMAGE, size, seed=2)
        repository.serve()
        repository.until_ready(HONEST)
        info_hash = repository.until_ready(IMAGE)
        *seats, liar = [Seat.make(host, tmp_path) for host in room.seats]
        honest = [update.succeeds() for update in [seat.update(repository, HONEST) for seat in seats]]

        pieces = metainfo.read(repository.torrent(IMAGE)).pieces
        url = f"http://{repository.host.address}:{TRACKER_PORT}/announce"
        with (liar.folder / "lies").open("wb") as lies:
            liar.host.popen(
                [sys.executable, HERE / "liar.py", url, info_hash, str(pieces), "7000"], stdout=lies
            )
        until(lambda: liar.host.address in repository.clients(info_hash), "the liar has announced itself")
        updates = [seat.update(repository, IMAGE) for seat in seats]
        done = [update.succeeds() for update in updates]

        told = [line.split() for line in (liar.folder / "lies").read_text().splitlines()]
        lied = {address: sum(int(length) for who, length in told if who == address) for address, _ in told}
        assert lied, "nobody asked the liar"
        for seat in seats:
            if seat.host.address in lied:
                log = (seat.folder / "cache" / ".ogtorrent" / "seeder.log").read_text()
                assert f"{liar.host.address} was banned" in log
        tell(
            "a peer that sends garbage",
            "among three seats that fill, one that announced itself as a seed and answers each request with "
            "random bytes",
            _all_alike([seen(update) for update in updates])
            + "; the seat’s log: the peer’s address was banned",
            _all_alike([stands(seat.place(IMAGE), it=digest) for seat in seats]),
            f"{_slowest(done)} and {share(max(done, key=lambda one: one['fetched']))}; without it "
            f"{_slowest(honest)}; it sent {sum(lied.values()) / MEBIBYTE:.1f} MiB to {len(lied)} seats",
        )


def test_a_tracker_that_answers_nonsense_or_hangs(tmp_path: Path) -> None:
    with Room(seats=4, rate=20) as room:
        repository = Repository(room.repository, tmp_path / "repository")
        digest = write_random(repository.images / IMAGE, 16 * MEBIBYTE, seed=1)
        door = f"http://{repository.host.address}:{DOOR}/announce"
        repository.serve("--announce", door, "--trust-proxy", f"{repository.host.address}/32")
        repository.until_ready(IMAGE)
        seats = [Seat.make(host, tmp_path) for host in room.seats]
        faults = ("nonsense", "hangs", "later-nonsense", "later-hangs")
        behind = f"{repository.host.address}:{TRACKER_PORT}"
        staged = [f"{seat.host.address}={fault}" for seat, fault in zip(seats, faults, strict=True)]
        room.repository.popen([sys.executable, HERE / "bad_tracker.py", behind, str(DOOR), *staged])
        until(lambda: listens(room.repository, DOOR), "the door is open")
        updates = [seat.update(repository, IMAGE, at=f":{DOOR}") for seat in seats]
        for seat, update, fault in zip(seats, updates, faults, strict=True):
            update.process.wait(240)
            when = "from its second announce on" if fault.startswith("later-") else "from the start"
            what = "answers nonsense" if fault.endswith("nonsense") else "takes requests and never answers"
            tell(
                f"a tracker that {what}, {when}",
                "the catalogue answers as always, only a seat’s announces do not reach the tracker",
                seen(update, tmp_path),
                stands(seat.place(IMAGE), it=digest),
                f"{update.events('progress')[-1]['done'] / MEBIBYTE:.0f} of 16 MiB",
            )


@pytest.mark.parametrize("whose", ["the repository’s", "a seat’s"])
def test_a_cable_is_pulled_for_30_seconds(tmp_path: Path, whose: str) -> None:
    with Room(seats=3, rate=20) as room:
        repository = Repository(room.repository, tmp_path / "repository")
        digest = write_random(repository.images / IMAGE, 24 * MEBIBYTE, seed=1)
        repository.serve()
        repository.until_ready(IMAGE)
        seats = [Seat.make(host, tmp_path) for host in room.seats]
        updates = [seat.update(repository, IMAGE) for seat in seats]
        until(lambda: updates[0].has_begun(0.3), "the fill is in the middle")
        victim = room.repository if whose == "the repository’s" else room.seats[0]
        victim.plug_out()
        time.sleep(PULLED)
        victim.plug_in()
        again = time.monotonic()
        for update in updates:
            update.process.wait(240)
        took = time.monotonic() - again
        tell(
            f"{whose} cable pulled for 30 s",
            "three seats fill; at a third of it the switch’s port goes down, 30 s later up",
            _all_alike([seen(update) for update in updates]),
            _all_alike([stands(seat.place(IMAGE), it=digest) for seat in seats]),
            f"whole {took:.1f} s after the cable was in again, "
            f"{share(max((update.succeeds() for update in updates), key=lambda one: one['fetched']))}",
        )


@pytest.mark.parametrize("how", ["by rename", "over the old one"])
def test_an_image_is_swapped_in_mid_fill(tmp_path: Path, how: str) -> None:
    size = 24 * MEBIBYTE
    with Room(seats=3, rate=20) as room:
        repository = Repository(room.repository, tmp_path / "repository")
        old = write_random(repository.images / IMAGE, size, seed=1)
        repository.serve()
        first = repository.until_ready(IMAGE)
        seats = [Seat.make(host, tmp_path) for host in room.seats]
        updates = [seat.update(repository, IMAGE) for seat in seats]
        until(lambda: all(update.has_begun(0.2) for update in updates), "the fill is in the middle")
        swapped = time.monotonic()
        if how == "by rename":
            new = write_random(repository.images / "aula1" / ".new", size, seed=2)
            (repository.images / "aula1" / ".new").rename(repository.images / IMAGE)
        else:
            new = write_random(repository.images / IMAGE, size, seed=2)
        repository.until_ready(IMAGE, otherwise_than=first)
        for update in updates:
            update.process.wait(240)
        took = time.monotonic() - swapped
        told = _all_alike([seen(update, tmp_path) for update in updates])
        became = _all_alike([stands(seat.place(IMAGE), **{"the old": old}) for seat in seats])
        for host in (*room.seats, room.repository):
            host.set_rate(None)
        for again in [seat.update(repository, IMAGE) for seat in seats]:
            again.succeeds()
        after = _all_alike([stands(seat.place(IMAGE), **{"the new": new}) for seat in seats])
        tell(
            f"an image swapped in mid-fill, {how}",
            "three seats have a fifth of it when the repository publishes another version under its name",
            f"{told}; the next run exit 0",
            f"{became}; after the next run {after}",
            f"ended {took:.0f} s after the swap",
        )


def listens(host: Host, port: int) -> bool:
    return bool(host.run(["ss", "-Hltn", f"sport = :{port}"]).stdout)


def _slowest(done: list[Event]) -> str:
    return f"{max(one['seconds'] for one in done):.1f} s"


def _all_alike(facts: list[str]) -> str:
    assert len(set(facts)) == 1, facts
    return facts[0]
