"""A building's server fed by the campus's, over a narrow uplink, and a room behind each."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from machines import Server
from machines import until as soon

from benchmarks.room import Room

from .disks import loop_device, mounted, skip_without_disks
from .laboratory import MEBIBYTE, Repository, Seat, skip_without_room, stand, until, write_random

pytestmark = pytest.mark.room

IMAGE = "aula1/windows.img"
SEATS = 3


@pytest.fixture(autouse=True)
def possible() -> None:
    skip_without_room(curl="curl")


def test_an_image_crosses_the_uplink_once_and_both_rooms_fill(tmp_path: Path) -> None:
    size = 24 * MEBIBYTE
    with Room(seats=SEATS + 1, rate=100, switches=2) as room:
        uplink = room.uplinks[1]
        for port in (uplink.inward, uplink.outward):
            port.shape(25)
        campus = Repository(room.repository, tmp_path / "campus")
        building = Repository(room.seats[-1], tmp_path / "building")
        digest = write_random(campus.images / IMAGE, size, seed=1)
        campus.serve()
        info_hash = campus.until_ready(IMAGE)

        crossed, came_back = uplink.inward.traffic().bytes, uplink.outward.traffic().bytes
        building.serve("--mirror", f"http://{campus.host.address}")
        until(lambda: building.entry(IMAGE).get("state") == "mirroring", "it is on its way")
        on_campus = [Seat.make(host, tmp_path) for host in room.seats[:SEATS]]
        updates = [seat.update(campus, IMAGE) for seat in on_campus]
        (early, *_) = in_building = [Seat.make(host, tmp_path) for host in room.seats[SEATS + 1 : -1]]
        assert "on its way there from http://10.99.0.1" in early.update(building, IMAGE).fails(4)
        assert building.until_ready(IMAGE) == info_hash, "one version has one info-hash in both"
        fills = [seat.update(building, IMAGE) for seat in in_building]
        seconds = [update.succeeds()["seconds"] for update in fills]
        for update in updates:
            update.succeeds()

        copies = (uplink.inward.traffic().bytes - crossed) / size
        given = (uplink.outward.traffic().bytes - came_back) / size
        limit = size * 8 / 100e6
        print(f"{copies:.3f} copies in, {given:.3f} out; the room in {max(seconds) / limit:.2f} of the limit")
        # Headers of TCP and Ethernet are 5 %; what goes out are acknowledgements and requests.
        assert 1 < copies < 1.1
        assert given < 0.05
        assert all(stand(seat.place(IMAGE), digest) for seat in (*on_campus, *in_building))
        seats = {seat.host.address for seat in on_campus}
        assert set(campus.clients(info_hash)) == seats, "the building's server has left"


def test_a_full_disk_is_told_the_others_come_and_it_goes_on_when_there_is_room(
    tmp_path: Path, serve: Callable[..., Server]
) -> None:
    skip_without_disks()
    campus = tmp_path / "campus" / "images"
    write_random(campus / "huge.img", 100 * MEBIBYTE, seed=1)
    digest = write_random(campus / "middle.img", 16 * MEBIBYTE, seed=2)
    write_random(campus / "small.img", MEBIBYTE, seed=3)
    with loop_device(tmp_path / "disk", 64) as device:
        subprocess.run(["mkfs.ext4", "-q", device], check=True)
        with mounted(device, tmp_path / "images") as root:
            source = serve(campus, line=3 * MEBIBYTE)
            here = serve(root, "--mirror", f"http://{source.address}")
            soon(lambda: here.state("huge.img") == "refused")
            assert "the disk is full, it needs 10485" in here.entry("huge.img")["why"]
            soon(lambda: here.entry("middle.img").get("hashed", 0) > 0)
            filler = root / "lost+found" / "what another program wrote"
            free = os.statvfs(root)
            with filler.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, (free.f_bavail - 1024) * free.f_frsize)
            soon(lambda: here.state("middle.img") == "refused")
            assert "the disk is full" in here.entry("middle.img")["why"]
            filler.unlink()
            here.ready("middle.img")
            assert stand(root / "middle.img", digest)
            here.ready("small.img")
            assert "unforeseen" not in here.log and here.state("huge.img") in ("refused", "mirroring")
            assert here.end() == 0
