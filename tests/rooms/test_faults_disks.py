"""Faults of disks, staged on loop devices; each tells its row of docs/faults.md."""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from benchmarks.room import Host, Room

from .disks import loop_device, mounted, skip_without_disks
from .faults import seen, share, stands, tell
from .laboratory import MEBIBYTE, Repository, Seat, skip_without_room, until, write_random
from .test_cache_partition import everything, fill, needed_and_free

pytestmark = pytest.mark.room

IMAGE, OTHER = "aula1/windows.img", "aula1/linux.img"
CACHE_FULL = 16
PLACES = 3  # random bytes at which the disk is full


@pytest.fixture(autouse=True)
def possible() -> None:
    skip_without_room(curl="curl", filefrag="e2fsprogs")
    skip_without_disks()


def test_a_disk_is_full_at_a_random_byte(tmp_path: Path) -> None:
    size, seed = 24 * MEBIBYTE, random.SystemRandom().randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)
    with (
        disk(tmp_path, 64) as device,
        Room(seats=1, rate=60) as room,
        used(device, tmp_path / "cache", room.seats[0]) as cache,
    ):
        repository, seat = Repository(room.repository, tmp_path / "repository"), here(room, cache)
        write_random(repository.images / OTHER, 4 * MEBIBYTE, seed=1)
        digest = write_random(repository.images / IMAGE, size, seed=2)
        repository.serve()
        repository.until_ready(OTHER)
        repository.until_ready(IMAGE)
        seat.update(repository, OTHER).succeeds()
        before = everything(cache)
        filler, kept, told = cache / "what another program wrote", 0, ""
        for place in sorted(dice.randrange(MEBIBYTE, 9 * size // 10) for _ in range(PLACES)):
            update = seat.update(repository, IMAGE)
            until(lambda update=update: bool(update.events("progress")), "the download has begun")
            leave(filler, max(0, place - allocated(cache)))
            needed, free = needed_and_free(update.fails(CACHE_FULL))
            assert 0 <= free < needed <= size
            assert {path: seen for path, seen in everything(cache).items() if path in before} == before
            partial = allocated(cache)
            assert partial >= kept, "what had come was thrown away"
            kept, told = partial, seen(update, tmp_path)
            stood = stands(seat.place(IMAGE), it=digest)
            filler.unlink()
        done = seat.update(repository, IMAGE).succeeds()
        seat.stop()
        assert done["fetched"] <= size - kept + 2 * MEBIBYTE
        tell(
            "a disk that is full at a random byte",
            "a cache on a loop device; another program takes all of it but a random part of the image, "
            f"{PLACES} times",
            f"{told}; with room again exit 0, and what had come was kept",
            f"{stood}, and the other as it was; after the next run {stands(seat.place(IMAGE), it=digest)}",
            f"{kept / MEBIBYTE:.0f} of {size / MEBIBYTE:.0f} MiB were kept, "
            f"{done['fetched'] / MEBIBYTE:.0f} fetched",
        )


def test_the_servers_disk_has_read_errors(tmp_path: Path) -> None:
    size = 24 * MEBIBYTE
    with disk(tmp_path, 64) as device, Room(seats=2, rate=50) as room:
        place = tmp_path / "repository" / "images"
        repository = Repository(room.repository, tmp_path / "repository")
        with mounted(device, place):
            write_random(place / OTHER, MEBIBYTE, seed=2)
            # What is free stands before the image, for nobody is to write where nothing can be read.
            write_random(place / ".room", 8 * MEBIBYTE, seed=3)
            subprocess.run(["sync", "-f", place], check=True)  # only now they have their blocks
            leave(place / ".filler", size + 4 * MEBIBYTE)
            digest = write_random(place / IMAGE, size, seed=1)
            end = last_byte(place / IMAGE)
            fill(place / ".tail")
            (place / ".room").unlink()
            repository.publish(IMAGE, OTHER)
        lose(tmp_path / "disk", end - size // 2)
        with used(device, place, room.repository):
            repository.serve()
            repository.until_ready(IMAGE)
            seats = [Seat.make(host, tmp_path) for host in room.seats]
            updates = [seat.update(repository, IMAGE) for seat in seats]
            for update in updates:
                update.process.wait(240)
            (told,) = {seen(update, tmp_path) for update in updates}
            (stood,) = {stands(seat.place(IMAGE), it=digest) for seat in seats}
            seats[0].update(repository, OTHER).succeeds()
            log = (tmp_path / "repository" / "serve.log").read_text()
            assert re.search(rf"{IMAGE}: .*{IMAGE}: Input/output error", log)
            came = updates[0].events("progress")[-1]["done"]
        tell(
            "a server’s disk with read errors",
            "half of a published image is in blocks that the disk cannot read (a loop device whose file was "
            "truncated); two seats fill",
            f"{told}; the server’s log names the file and “Input/output error”; another image: exit 0",
            stood,
            f"{came / MEBIBYTE:.0f} of {size / MEBIBYTE:.0f} MiB had come",
        )


def test_a_seats_disk_has_read_errors(tmp_path: Path) -> None:
    size = 24 * MEBIBYTE
    with disk(tmp_path, 64) as device, Room(seats=2, rate=50) as room:
        repository = Repository(room.repository, tmp_path / "repository")
        digest = write_random(repository.images / IMAGE, size, seed=1)
        repository.serve()
        repository.until_ready(IMAGE)
        with used(device, tmp_path / "cache", room.seats[0]) as cache:
            seat = here(room, cache)
            seat.update(repository, IMAGE).succeeds()
            seat.stop()
            end = last_byte(seat.place(IMAGE))
        lose(tmp_path / "disk", end - size // 2)
        with used(device, tmp_path / "cache", room.seats[0]):
            looked = seat.update(repository, IMAGE)
            looked.process.wait(240)
            neighbour = Seat.make(room.seats[1], tmp_path)
            neighbour.update(repository, IMAGE).succeeds()
            filled = stands(neighbour.place(IMAGE), it=digest)
            verified = seat.update(repository, IMAGE, "--verify")
            verified.process.wait(240)
            told = {seen(update, tmp_path) for update in (looked, verified)}
            seat.stop()
        tell(
            "a seat’s disk with read errors",
            "half of a whole image and its sidecars are in blocks that the cache’s disk cannot read; "
            "update-cache, also with --verify; another seat fills meanwhile",
            f"{' or '.join(sorted(told))}; the other seat exit 0",
            f"of the other seat: {filled}",
            "",
        )


def test_a_seats_disk_has_write_errors(tmp_path: Path) -> None:
    """The kernel takes the bytes; only an fsync tells that the disk has not."""
    size, place = 24 * MEBIBYTE, tmp_path / "cache"
    with thin(tmp_path, 16) as folder, disk(folder, 64) as device, Room(seats=1, rate=100) as room:
        repository = Repository(room.repository, tmp_path / "repository")
        digest = write_random(repository.images / IMAGE, size, seed=1)
        repository.serve()
        repository.until_ready(IMAGE)
        with used(device, place, room.seats[0]):
            seat = here(room, place)
            update = seat.update(repository, IMAGE)
            update.process.wait(240)
            told, stood = seen(update, tmp_path), stands(seat.place(IMAGE), it=digest)
            subprocess.run(["mount", "-o", f"remount,size={2 * size}", folder], check=True)
            done = seat.update(repository, IMAGE).succeeds()
        with mounted(device, place):  # what the disk has, not what the kernel remembers
            after = stands(seat.place(IMAGE), it=digest)
        tell(
            "a seat’s disk with write errors",
            "the loop device’s file stands on a full file system: the kernel takes bytes which the disk "
            "refuses",
            f"{told}; when the disk is mended exit 0",
            f"{stood}; after the next run {after}",
            f"the next run fetched {share(done)}",
        )


@contextmanager
def disk(folder: Path, mebibytes: int) -> Iterator[Path]:
    """A loop device with a file system; everything that lies beyond the last file is data."""
    with loop_device(folder / "disk", mebibytes) as device:
        subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", "-m", "0", device], check=True)
        yield device


@contextmanager
def used(device: Path, at: Path, host: Host) -> Iterator[Path]:
    """A device mounted for what runs on a host, which ends before."""
    with mounted(device, at):
        try:
            yield at
        finally:
            host.crash()


@contextmanager
def thin(folder: Path, mebibytes: int) -> Iterator[Path]:
    """A folder that takes so much and no more."""
    place = folder / "thin"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={mebibytes}m"]
    subprocess.run(["mount", *options, "none", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def here(room: Room, cache: Path) -> Seat:
    return Seat(room.seats[0], cache.parent, cache)


def last_byte(path: Path) -> int:
    """Where on its device the last block of a file ends."""
    told = subprocess.run(
        ["filefrag", "-s", "-v", "-b1024", path], capture_output=True, text=True, check=True
    )
    ends = re.findall(r"^ *\d+: +\d+\.\. *\d+: +\d+\.\. *(\d+):", told.stdout, re.MULTILINE)
    return (max(map(int, ends)) + 1) * 1024


def lose(backing: Path, start: int) -> None:
    """From here on the disk reads nothing any more: a loop device answers EIO beyond its file's end."""
    with backing.open("r+b") as file:
        file.truncate(start)


def leave(filler: Path, left: int) -> None:
    """Take all of a disk but so many bytes."""
    told = os.statvfs(filler.parent)
    # What comes meanwhile may take some of it first: then the disk is full, too.
    with filler.open("xb") as file, suppress(OSError):
        os.posix_fallocate(file.fileno(), 0, max(1, told.f_bfree * told.f_frsize - left))


def allocated(cache: Path) -> int:
    """Bytes on disk of downloads that have not ended."""
    partial = [path for path in (cache / "images").rglob(".*") if path.is_file()]
    return sum(path.stat().st_blocks * 512 for path in partial)
