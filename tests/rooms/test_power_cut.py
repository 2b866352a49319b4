"""A PC that is switched off in mid-update: nothing is lost, and little comes twice.

A killed process leaves what it did; a cut also takes what the disk had not written yet. Both are
staged on an ext4 in a loop device whose backing file lies where it can be copied at an instant.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from machines import Seat, Server, published, until

from .disks import cache_device, mounted, mounted_copy, skip_without_disks, snapshot, snapshots

pytestmark = [pytest.mark.room, pytest.mark.root]

MIB = 2**20
CUTS = int(os.environ.get("OGTORRENT_POWER_CUTS", "8"))  # of each kind
SMALL, LARGE = 12 * MIB, 64 * MIB
LINE = 32 * MIB  # bytes a second
AGAIN = 32 * MIB  # bytes that may come twice
FILE, DIRECTORY = "windows.img", "clone.img"

Digests = dict[str, str]
Serve, Seats = Callable[..., Server], Callable[..., Seat]


@pytest.fixture(autouse=True)
def possible() -> None:
    skip_without_disks()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A cache on a partition, and the file that is its disk."""
    with (
        snapshots(tmp_path, 3072) as place,
        cache_device(place, 300) as device,
        mounted(device, tmp_path / "cache") as cache,
    ):
        yield cache, place / "cache.disk"


def versions(serve: Serve, home: Path, size: int) -> tuple[Server, Server]:
    """Two servers with two versions of the same images."""
    for number in (1, 2):
        images = home / f"version{number}" / "images"
        published(images / FILE, images, size, seed=number)
        for name in ("sda1", f"parts/sda{number + 1}"):
            published_inside(images / DIRECTORY / name, size // 2, seed=number)
    first, second = (serve(home / f"version{number}" / "images", line=LINE) for number in (1, 2))
    for server in (first, second):
        server.ready(FILE)
        server.ready(DIRECTORY)
    return first, second


def published_inside(place: Path, size: int, seed: int) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(random.Random(f"{place.name} {seed}").randbytes(size))


def digests(place: Path) -> Digests:
    files = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)
    }


def names(cache: Path, image: str) -> list[str]:
    """Whatever stands beside the image in the cache."""
    folder = cache / "images"
    return sorted(path.name for path in folder.iterdir() if image in path.name) if folder.is_dir() else []


def tidy(image: str) -> list[str]:
    return sorted(image + ending for ending in ("", ".torrent", ".sum", ".full.sum"))


def kill(seat: Seat, command: subprocess.Popen[str], seeder: int | None) -> None:
    """The seeder and its command, in one instant for both."""
    for pid in filter(None, (seeder, command.pid)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    command.wait()
    until(lambda: seat.seeder() is None)


class Moment:
    """When to cut: so many seconds after the start, or as soon as names changed so often in a landing."""

    def __init__(self, random: random.Random, cache: Path, image: str, whole_run: float) -> None:
        self._cache, self._image = cache, image
        self.seconds = random.uniform(0, whole_run)
        self.changes = random.randrange(3) if random.random() < 0.75 else None

    def wait(self, running: Callable[[], bool]) -> None:
        began, seen, changed = time.monotonic(), names(self._cache, self._image), -1
        while running():
            if self.changes is None and time.monotonic() - began > self.seconds:
                return
            now = names(self._cache, self._image)
            if changed >= 0 or any(name.endswith(".landing") for name in now):
                changed += now != seen
            seen = now
            if changed == self.changes:
                return
            time.sleep(0.0002)


@pytest.mark.parametrize("image", [FILE, DIRECTORY])
def test_a_killed_update_leaves_the_old_image_or_the_new_one(
    disk: tuple[Path, Path], serve: Serve, seat: Seats, tmp_path: Path, image: str
) -> None:
    chance, (cache, _) = random.Random(image), disk
    server, other = versions(serve, tmp_path, SMALL)
    here, pc = cache / "images" / image, seat(cache)
    assert pc.update(server.address, image, "--session", "peer:0").code == 0
    whole_run = 0.0
    for cut in range(CUTS):
        pc.stop()
        old, new = digests(here), digests(other.root / image)
        shutil.rmtree(here.parent / ".previous", ignore_errors=True)  # it would come from there
        update = pc.start(other.address, image, "--session", "peer:0")
        # Who looks for it at the moment itself is too late for a landing; at first its lock is the command's.
        until(lambda u=update: {pc.seeder()} - {None, u.process.pid} or u.process.poll() is not None)
        seeder = pc.seeder()
        Moment(chance, cache, image, whole_run or 2.0).wait(lambda u=update: u.process.poll() is None)
        kill(pc, update.process, seeder)
        left = names(cache, image)
        assert digests(here) in (old, new), f"cut {cut}: {left}"
        began = time.monotonic()
        again = pc.update(other.address, image, "--session", "peer:0")
        assert again.code == 0, f"cut {cut}, {left}: {again.said}"
        whole_run = max(whole_run, time.monotonic() - began)
        assert digests(here) == new
        assert names(cache, image) == tidy(image), f"cut {cut}: {left}"
        server, other = other, server


@pytest.mark.parametrize("image", [FILE, DIRECTORY])
def test_after_a_power_cut_little_comes_twice(
    disk: tuple[Path, Path], serve: Serve, seat: Seats, tmp_path: Path, image: str
) -> None:
    cache, backing = disk
    server, other = versions(serve, tmp_path, LARGE)
    assert seat(cache).update(server.address, image, "--session", "peer:0").code == 0
    old, new = digests(cache / "images" / image), digests(other.root / image)
    cuts = cut_often(seat(cache), other, image, backing, random.Random(image))
    assert len(cuts) >= CUTS // 2
    twice = []
    for copy, came in cuts:
        with mounted_copy(copy, tmp_path / "after") as after:
            here = after / "images" / image
            assert digests(here) in (old, new), copy.name
            with ended(Seat(after)) as pc:
                done = pc.update(other.address, image, "--session", "peer:0").done
            assert digests(here) == new
            assert names(after, image) == tidy(image), copy.name
        twice.append(max(0, done.fetched - (LARGE - came)))
        copy.unlink()
    told = ", ".join(f"{number / MIB:.1f}" for number in sorted(twice))
    print(f"{image}: MiB that came twice: {told}")
    assert max(twice) < AGAIN, told


@contextmanager
def ended(seat: Seat) -> Iterator[Seat]:
    """A seat of which no process is left afterwards, so that its cache can be unmounted."""
    try:
        yield seat
    finally:
        seat.stop()
        until(lambda: seat.seeder() is None)


def cut_often(
    pc: Seat, server: Server, image: str, backing: Path, chance: random.Random
) -> list[tuple[Path, int]]:
    """Copies of the disk at moments of one update, each with the bytes that had come by then."""
    cuts: list[tuple[Path, int]] = []
    update = pc.start(server.address, image, "--session", "peer:0")
    until(lambda: f".{image}.part" in names(pc.cache, image))
    seen, next_cut, whole = names(pc.cache, image), time.monotonic(), False
    while update.process.poll() is None:
        now = names(pc.cache, image)
        landing = now != seen and any(name.endswith(".landing") for name in (*now, *seen))
        if landing or (len(cuts) < CUTS - 2 and time.monotonic() > next_cut):
            whole = whole or landing
            copy = backing.with_name(f"cut{len(cuts)}")
            snapshot(backing, copy)
            cuts.append((copy, LARGE if whole else allocated(pc.cache / "images" / f".{image}.part")))
            next_cut = time.monotonic() + chance.uniform(0, 2 * LARGE / LINE / CUTS)
        seen = now
    assert update.end().code == 0
    return cuts


def allocated(partial: Path) -> int:
    """Bytes that have come, whether the disk has written them or not; holes have not."""
    files = partial.rglob("*") if partial.is_dir() else [partial]
    return min(LARGE, sum(path.stat().st_blocks * 512 for path in files if path.is_file()))
