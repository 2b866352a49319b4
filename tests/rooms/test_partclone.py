"""What it is all for: a partition imaged on one machine stands on another one, by way of the cache."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.room import Room

from .disks import cache_device, loop_device, mounted, skip_without_disks
from .laboratory import MEBIBYTE, Repository, Seat, sha256, skip_without_room, tree, write_random

pytestmark = pytest.mark.room

IMAGE = "aula1/linux.img"


@pytest.fixture(autouse=True)
def possible() -> None:
    skip_without_room(curl="curl", **{"partclone.ext4": "partclone", "e2fsck": "e2fsprogs"})
    skip_without_disks()


def test_a_partition_is_imaged_brought_to_a_seat_and_restored_from_its_cache(tmp_path: Path) -> None:
    with (
        cache_device(tmp_path, 128) as device,
        mounted(device, tmp_path / "cache") as cache,
        loop_device(tmp_path / "model.disk", 96) as model,
        loop_device(tmp_path / "seat.disk", 96) as disk,
        Room(seats=1) as room,
    ):
        repository = Repository(room.repository, tmp_path / "repository")
        run("mkfs.ext4", "-q", "-L", "LINUX", model)
        with mounted(model, tmp_path / "model") as system:
            install(system)
            original = described(system)
        image = repository.images / IMAGE
        image.parent.mkdir()
        run("partclone.ext4", "--clone", "-s", model, "-o", image, "-L", tmp_path / "clone.log")
        assert image.stat().st_size < 96 * MEBIBYTE, "partclone leaves out what is free"

        repository.serve()
        repository.until_ready(IMAGE)
        done = Seat(room.seats[0], tmp_path, cache=None).update(repository, IMAGE).succeeds()

        brought = Path(done["path"])
        assert brought == cache / "images" / IMAGE
        assert sha256(brought) == sha256(image)
        # It can be restored while it is being seeded.
        run("partclone.ext4", "--restore", "-s", brought, "-o", disk, "-L", tmp_path / "restore.log")
        run("e2fsck", "-f", "-n", disk)
        with mounted(disk, tmp_path / "restored", "-o", "ro") as system:
            assert described(system) == original


def install(system: Path) -> None:
    """Files as a system has them: large and small, in many places, links and modes."""
    write_random(system / "boot" / "vmlinuz", 9 * MEBIBYTE, seed=1)
    write_random(system / "usr" / "lib" / "libc.so", 3 * MEBIBYTE + 1, seed=2)
    for number in range(200):
        write_random(system / "etc" / f"{number % 7}" / f"setting {number}", 37 * number, seed=number)
    (system / "usr" / "lib" / "libc.so").chmod(0o755)
    (system / "boot" / "current").symlink_to("vmlinuz")
    os.link(system / "boot" / "vmlinuz", system / "boot" / "old")


def described(system: Path) -> tuple[dict[str, str], dict[str, tuple[int, int]], str]:
    """Every file's digest, mode and number of names, and where the link leads."""
    digests = tree(system)
    status = {name: (system / name).lstat() for name in digests}
    modes = {name: (found.st_mode, found.st_nlink) for name, found in status.items()}
    return digests, modes, str((system / "boot" / "current").readlink())


def run(*argv: str | Path) -> None:
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv[0]}: exit {done.returncode}: {done.stdout}{done.stderr}"
