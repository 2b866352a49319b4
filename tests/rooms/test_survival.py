"""A room goes on filling when the repository's server, tracker and first seed, has died."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.room import Room

from .laboratory import MEBIBYTE, Repository, Seat, skip_without_room, stand, until, write_random

pytestmark = pytest.mark.room

IMAGE = "windows.img"
SIZE = 12 * MEBIBYTE
RATE = 24  # Mbit/s


@pytest.fixture
def room() -> Iterator[Room]:
    skip_without_room(curl="curl")
    with Room(seats=5, rate=RATE) as room:
        yield room


@pytest.fixture
def server(room: Room, tmp_path: Path) -> Repository:
    return Repository(room.repository, tmp_path)


@pytest.fixture
def seats(room: Room, tmp_path: Path) -> list[Seat]:
    return [Seat.make(host, tmp_path) for host in room.seats]


def test_all_finish_and_who_comes_later_finds_the_room(server: Repository, seats: list[Seat]) -> None:
    digest = write_random(server.images / IMAGE, SIZE, seed=1)
    server.serve()
    info_hash = server.until_ready(IMAGE)
    whole, rebooting, *others = seats
    whole.update(server, IMAGE).succeeds()
    updates = [seat.update(server, IMAGE) for seat in (rebooting, *others)]
    until(lambda: all(update.has_begun(0.1) for update in updates), "all fill")
    assert not any("calling" in (seat.cache / ".ogtorrent" / "seeder.log").read_text() for seat in seats)
    server.host.crash()
    rebooting.host.crash()
    for update in updates[1:]:
        update.succeeds()

    # It knew nobody, and is told of nobody: it is heard.
    again = rebooting.update(server, IMAGE)
    assert again.succeeds()["from_repository"] == 0
    assert [alone["repository"] for alone in again.events("alone")] == [f"{server.host.address}:6969"]
    assert all(stand(seat.place(IMAGE), digest) for seat in seats)
    assert not [path for seat in seats for path in seat.place(IMAGE).parent.glob(".*")]
    # Whether what it has is the newest version nobody can say.
    whole.update(server, IMAGE).fails(23)

    server.serve()
    seated = {seat.host.address: "seeding" for seat in seats}
    until(lambda: server.clients(info_hash) == seated, "the server knows its seats again")


def test_seats_that_have_all_pieces_between_them_finish(server: Repository, seats: list[Seat]) -> None:
    digest = write_random(server.images / IMAGE, SIZE, seed=2)
    server.serve()
    server.until_ready(IMAGE)
    content = (server.images / IMAGE).read_bytes()
    server.cut_off_seed()
    for seat, (start, end) in zip(seats, [(0, 0.6), (0.5, 1)], strict=False):
        place = seat.place(f".{IMAGE}.part")
        place.parent.mkdir()
        with place.open("wb") as partial:
            partial.seek(int(start * SIZE))
            partial.write(content[int(start * SIZE) : int(end * SIZE)])
    updates = [seat.update(server, IMAGE) for seat in seats]
    until(lambda: all(update.has_begun(0.1) for update in updates), "all fill")
    server.host.crash()
    for update in updates:
        update.succeeds()
    assert all(stand(seat.place(IMAGE), digest) for seat in seats)


def test_an_empty_seat_needs_the_metainfo_from_a_hand_that_is_trusted(
    server: Repository, seats: list[Seat]
) -> None:
    digest = write_random(server.images / IMAGE, MEBIBYTE, seed=3)
    server.serve()
    server.until_ready(IMAGE)
    whole, empty, *_ = seats
    whole.update(server, IMAGE).succeeds()
    server.host.crash()
    empty.update(server, IMAGE).fails(23)
    place = empty.place(f"{IMAGE}.torrent")
    place.parent.mkdir()
    place.write_bytes(whole.place(f"{IMAGE}.torrent").read_bytes())
    empty.update(server, IMAGE).succeeds()
    assert stand(empty.place(IMAGE), digest)
