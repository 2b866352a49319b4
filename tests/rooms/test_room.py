"""A room fills, goes on without the repository, takes a rebuilt image, and survives a seat that dies."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from urllib.parse import quote

import pytest

from benchmarks.room import Room

from .laboratory import (
    MEBIBYTE,
    Repository,
    Seat,
    sha256,
    skip_without_room,
    stand,
    tree,
    until,
    write_random,
)

pytestmark = pytest.mark.room

IMAGE = "aula1/windows.img"
SIDECARS = (".torrent", ".sum", ".full.sum")


@pytest.fixture(autouse=True)
def possible() -> None:
    skip_without_room(curl="curl")


def test_eight_seats_fill_each_other_and_a_ninth_without_the_repository(tmp_path: Path) -> None:
    size = 48 * MEBIBYTE
    with Room(seats=9, rate=100) as room:
        repository = Repository(room.repository, tmp_path / "repository")
        digest = write_random(repository.images / IMAGE, size, seed=1)
        repository.serve()
        info_hash = repository.until_ready(IMAGE)
        seats = [Seat.make(host, tmp_path) for host in room.seats]
        eight, ninth = seats[:8], seats[8]

        sent_before = room.repository.bytes_sent()
        updates = [seat.update(repository, IMAGE) for seat in eight]
        fills = [update.succeeds() for update in updates]

        for seat, done in zip(eight, fills, strict=True):
            assert done["path"] == str(seat.place(IMAGE))
            assert stand(seat.place(IMAGE), digest), seat.host.name
            assert_sidecars_equal(repository, seat)
        copies = (room.repository.bytes_sent() - sent_before) / size
        assert 1 < copies < 3, "HTTP would have sent 8"
        fetched = sum(done["fetched"] for done in fills)
        assert sum(done["from_seats"] for done in fills) > fetched / 2

        # The repository's own seed announces over loopback, and yet every seat meets it.
        assert all(done["from_repository"] > 0 for done in fills)
        assert all(done["from_repository"] + done["from_seats"] == done["fetched"] for done in fills)
        escaped = quote(bytes.fromhex(info_hash), safe="")
        announce = f"/announce?info_hash={escaped}&peer_id=-XX0001-123456789012&port=1&left=1&compact=0"
        peers = repository.get(f"{announce}&uploaded=0&downloaded=0&numwant=50", by=ninth.host)
        assert f"2:ip{len(room.repository.address)}:{room.repository.address}" in peers
        assert "127.0.0" not in peers

        # The eight go on seeding: nobody needs the repository's seed any more.
        repository.cut_off_seed()
        done = ninth.update(repository, IMAGE).succeeds()
        assert stand(ninth.place(IMAGE), digest)
        assert (done["from_repository"], done["from_seats"]) == (0, done["fetched"])


def test_seats_take_a_rebuilt_image_and_keep_the_old_one_until_it_stands(tmp_path: Path) -> None:
    size = 24 * MEBIBYTE
    with Room(seats=3, rate=100) as room:
        repository = Repository(room.repository, tmp_path / "repository")
        old = write_random(repository.images / IMAGE, size, seed=1)
        repository.serve()
        first = repository.until_ready(IMAGE)
        seats = [Seat.make(host, tmp_path) for host in room.seats]
        for update in [seat.update(repository, IMAGE) for seat in seats]:
            update.succeeds()
        assert all(stand(seat.place(IMAGE), old) for seat in seats)

        # Of the same size, over the old one: what OpenGnsys's cron does not notice.
        new = write_random(repository.images / IMAGE, size, seed=2)
        repository.until_ready(IMAGE, otherwise_than=first)
        room.repository.set_rate(20)
        updates = [seat.update(repository, IMAGE) for seat in seats]
        for seat, update in zip(seats, updates, strict=True):
            until(lambda update=update: update.has_begun(0.1), f"{seat.host.name} fetches the new version")
            found = sha256(seat.place(IMAGE))
            assert not update.events("done"), "the fill was over before it was looked at"
            assert found == old, f"{seat.host.name} lost the old image before the new one stood"
        room.repository.set_rate(100)
        for seat, update in zip(seats, updates, strict=True):
            assert update.succeeds()["fetched"] >= size
            assert stand(seat.place(IMAGE), new), seat.host.name
            assert_sidecars_equal(repository, seat)
            assert set(tree(seat.place(IMAGE).parent)) == {
                *("windows.img" + suffix for suffix in ("", *SIDECARS)),
                *(".previous/windows.img" + suffix for suffix in ("", ".torrent")),
            }
            assert stand(seat.place(IMAGE).parent / ".previous" / "windows.img", old)


def test_a_seat_that_is_killed_stops_nobody_and_goes_on_from_what_it_has(tmp_path: Path) -> None:
    size = 32 * MEBIBYTE
    with Room(seats=4, rate=50) as room:
        repository = Repository(room.repository, tmp_path / "repository")
        digest = write_random(repository.images / IMAGE, size, seed=1)
        repository.serve()
        repository.until_ready(IMAGE)
        victim, *others = [Seat.make(host, tmp_path) for host in room.seats]
        update = victim.update(repository, IMAGE)
        updates = [seat.update(repository, IMAGE) for seat in others]

        until(lambda: update.has_begun(0.3), "the victim is in the middle")
        os.kill(victim.seeder(), signal.SIGKILL)
        update.process.kill()
        update.process.wait(10)
        assert not update.events("done")
        assert not victim.place(IMAGE).exists()

        for seat, other in zip(others, updates, strict=True):
            other.succeeds()
            assert stand(seat.place(IMAGE), digest), seat.host.name

        done = victim.update(repository, IMAGE).succeeds()
        assert stand(victim.place(IMAGE), digest)
        assert_sidecars_equal(repository, victim)
        assert 0 < done["fetched"] < 0.9 * size, "what it had was thrown away"


def assert_sidecars_equal(repository: Repository, seat: Seat) -> None:
    for suffix in SIDECARS:
        ours = seat.place(IMAGE + suffix).read_bytes()
        assert ours == (repository.images / (IMAGE + suffix)).read_bytes(), f"{seat.host.name}: {suffix}"
