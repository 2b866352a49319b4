"""A room without a server: one seat has a disk with an image, and the room fills from that seat."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.room import Host, Room

from .disks import loop_device, mounted, skip_without_disks
from .laboratory import MEBIBYTE, OGTORRENT, Seat, Update, skip_without_room, stand, until, write_random

pytestmark = pytest.mark.room

IMAGE = "aula1/windows.img"
SIZE = 24 * MEBIBYTE


@pytest.fixture(autouse=True)
def possible() -> None:
    skip_without_room(curl="curl", fuseiso="fuseiso", xorriso="xorriso", mksquashfs="squashfs-tools")
    skip_without_disks()


class Feeder(Seat):
    """The seat that has the disk."""

    def update_from(self, disk: Path, image: str) -> Update:
        said, log = self.folder / "from.out", self.folder / "from.log"
        subdirectory, _, name = image.rpartition("/")
        words = ["update-cache", "--from", disk, subdirectory or "/", name, "--json"]
        words += ["--cache", self.cache, "--address", self.host.address]
        with said.open("wb") as out, log.open("wb") as err:
            process = self.host.popen([*OGTORRENT, *map(str, words)], cwd="/", stdout=out, stderr=err)
        return Update(process, said, log)

    @property
    def tells(self) -> str:
        assert self.cache is not None
        return (self.cache / ".ogtorrent" / "seeder.log").read_text()


class Fed:
    """The server that a seat is, as `Seat.update` wants one."""

    def __init__(self, host: Host) -> None:
        self.host = host


@contextmanager
def lesson(folder: Path, seats: int, rate: float | None = None) -> Iterator[tuple[Feeder, list[Seat]]]:
    with Room(seats=seats, rate=rate) as room:
        first, *others = room.seats
        made = Seat.make(first, folder)
        feeder = Feeder(made.host, made.folder, made.cache)
        try:
            yield feeder, [Seat.make(host, folder) for host in others]
        finally:
            feeder.stop()
        assert "Traceback" not in feeder.tells


def pressed(folder: Path) -> tuple[Path, str]:
    """A published tree as it is to be on a disk, and the digest of its image."""
    images = folder / "disk" / "images"
    digest = write_random(images / IMAGE, SIZE, seed=1)
    subprocess.run([*OGTORRENT, "publish", "--root", images, images / IMAGE], check=True, capture_output=True)
    return images.parent, digest


@contextmanager
def usb(folder: Path) -> Iterator[tuple[Path, str]]:
    """An ext4 disk, mounted to be read only; its image has been copied, so it has other times."""
    tree, digest = pressed(folder)
    with loop_device(folder / "usb", 64) as device:
        subprocess.run(["mkfs.ext4", "-q", "-d", tree, str(device)], check=True)
        with mounted(device, folder / "mounted", "-o", "ro") as place:
            yield place, digest


@contextmanager
def dvd(folder: Path) -> Iterator[tuple[Path, str]]:
    """An ISO image by FUSE: not every kernel reads them."""
    tree, digest = pressed(folder)
    disc, place = folder / "disc.iso", folder / "mounted"
    make = ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-V", "IMAGES", "-o", disc, tree]
    subprocess.run(make, check=True, capture_output=True)
    place.mkdir()
    subprocess.run(["fuseiso", disc, place], check=True)
    try:
        yield place, digest
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("medium", [usb, dvd], ids=["USB", "DVD"])
def test_the_room_fills_from_a_disk_with_no_server(medium, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with medium(tmp_path) as (place, digest), lesson(tmp_path, seats=3) as (feeder, others):
        done = feeder.update_from(place, IMAGE).succeeds()
        assert (done["fetched"], done["shared"]) == (0, SIZE)
        for update in [seat.update(Fed(feeder.host), IMAGE) for seat in others]:  # type: ignore[arg-type]
            update.succeeds()
        for seat in (feeder, *others):
            assert stand(seat.place(IMAGE), digest)
        for seat in others:
            seat.stop()


def test_a_disk_that_is_pulled_out_is_told_and_the_room_fills_from_who_has_it(tmp_path: Path) -> None:
    with lesson(tmp_path, seats=3, rate=40) as (feeder, others), usb(tmp_path) as (place, digest):
        feeder.update_from(place, IMAGE).succeeds()
        updates = [seat.update(Fed(feeder.host), IMAGE) for seat in others]  # type: ignore[arg-type]
        until(lambda: updates[0].has_begun(0.1), "the room is filling")
        subprocess.run(["umount", "--lazy", place], check=True)
        try:
            until(lambda: f"The disk at {place}/images is no longer there" in feeder.tells, "it is told")
            for seat, update in zip(others, updates, strict=True):
                update.succeeds()
                assert stand(seat.place(IMAGE), digest)
                seat.stop()
            told = feeder.update_from(place, IMAGE).fails(2)
            assert "no image 'aula1/windows.img'" in told
        finally:
            subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)  # for its umount
