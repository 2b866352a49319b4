"""Multicast first, swarm to mend; and HTTP alone: udpcast and aiohttp as they are, in rooms of namespaces."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from benchmarks.room import CARD, Room

from .laboratory import MEBIBYTE, Repository, Seat, skip_without_room, stand, until, write_random

pytestmark = pytest.mark.room

IMAGE = "aula1/windows.img"
SESSION = "9000:full-duplex:239.194.17.36:80M:{clients}:{wait}"


@pytest.fixture(autouse=True)
def possible() -> None:
    programs = {"udp-sender": "udpcast", "udp-receiver": "udpcast"}
    skip_without_room(curl="curl", nft="nftables", **programs)


def multicast(clients: int, wait: int = 60) -> tuple[str, ...]:
    return "--protocol", "multicast", "--session", SESSION.format(clients=clients, wait=wait)


def test_a_room_comes_by_multicast_and_who_lost_came_late_or_was_killed_is_mended(tmp_path: Path) -> None:
    size = 32 * MEBIBYTE
    with Room(seats=5, rate=100) as room:
        repository = Repository(room.repository, tmp_path / "repository")
        digest = write_random(repository.images / IMAGE, size, seed=1)
        repository.serve()
        repository.until_ready(IMAGE)
        good, lossy, slow, killed, late = [Seat.make(host, tmp_path) for host in room.seats]
        lossy.host.lose(0.06)  # more than its error correction can bear, now and then
        slow.host.set_rate(10)
        joined_at_once = (good, lossy, slow, killed)
        begun = {seat.host.name: seat.update(repository, IMAGE, *multicast(4)) for seat in joined_at_once}
        until(
            lambda: begun[good.host.name].has_begun(0.2), "multicast has begun", log=begun[good.host.name].log
        )
        os.kill(killed.seeder(), signal.SIGKILL)
        begun[killed.host.name].process.wait(10)
        joined = late.update(repository, IMAGE, "--protocol", "multicast")

        done = begun[good.host.name].succeeds()
        assert not begun[good.host.name].events("swarm")
        assert done["from_repository"] > 0.9 * size, "it waited for the swarm"
        mended = begun[lossy.host.name].succeeds()
        assert 0 < mended["from_seats"] + mended["from_repository"] == mended["fetched"]
        assert joined.succeeds()["fetched"] >= size
        (told,) = joined.events("swarm")
        assert "had begun" in told["why"]
        slow.host.set_rate(100)
        begun[slow.host.name].succeeds()
        (told,) = begun[slow.host.name].events("swarm")
        assert "too little" in told["why"] or "fell silent" in told["why"]
        again = killed.update(repository, IMAGE, *multicast(1, wait=0)).succeeds()
        assert 0 < again["fetched"] <= size
        for seat in (good, lossy, slow, killed, late):
            assert stand(seat.place(IMAGE), digest), seat.host.name


def test_what_came_by_a_session_that_was_cut_is_kept_whoever_goes_on(tmp_path: Path) -> None:
    size = 32 * MEBIBYTE
    with Room(seats=2, rate=100) as room:
        repository = Repository(room.repository, tmp_path / "repository")
        digest = write_random(repository.images / IMAGE, size, seed=1)
        repository.serve()
        repository.until_ready(IMAGE)
        by_multicast, by_http = [Seat.make(host, tmp_path) for host in room.seats]
        for seat, way in ((by_multicast, multicast(1)), (by_http, ("--protocol", "unicast"))):
            update = seat.update(repository, IMAGE, *way)
            until(lambda update=update: update.has_begun(0.5), "half of it came", log=update.log)
            update.process.send_signal(signal.SIGINT)
            update.process.wait(10)
            assert not seat.place(IMAGE).exists()
            rest = seat.update(repository, IMAGE, "--protocol", "unicast").succeeds()
            assert 0 < rest["fetched"] < 0.8 * size, "what it had was thrown away"
            assert rest["from_seats"] == 0
            assert stand(seat.place(IMAGE), digest)


def test_a_sender_that_fails_is_told_and_so_is_one_that_nobody_starts(tmp_path: Path) -> None:
    with Room(seats=2, rate=100) as room:
        repository = Repository(room.repository, tmp_path / "repository")
        digest = write_random(repository.images / IMAGE, 4 * MEBIBYTE, seed=1)
        repository.serve()
        repository.until_ready(IMAGE)
        seat, other = [Seat.make(host, tmp_path) for host in room.seats]

        # Somebody has the port already.
        stranger = room.repository.popen(
            ["udp-sender", "--nokbd", "--interface", CARD, "--file", "/dev/null"]
        )
        bound = ":2329 "  # 9001
        until(lambda: bound in room.repository.run(["cat", "/proc/net/udp"]).stdout, "the port is taken")
        assert "udp-sender" in seat.update(repository, IMAGE, *multicast(1)).fails(56)
        stranger.kill()
        stranger.wait()

        update = seat.update(repository, IMAGE, *multicast(2))
        until(lambda: update.events("gathering"), "it waits for more seats")
        os.kill(repository.pid, signal.SIGKILL)
        assert "does not answer any more" in update.fails(60)
        refused = other.update(repository, IMAGE, *multicast(2))
        refused.fails(23)
        repository.serve()
        assert seat.update(repository, IMAGE, *multicast(1)).succeeds()
        assert stand(seat.place(IMAGE), digest)
