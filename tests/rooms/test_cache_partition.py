"""The cache is a partition: found by its label, refused in words when it cannot take an image."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.room import Room

from .disks import cache_device, mounted, skip_without_disks
from .laboratory import MEBIBYTE, Repository, Seat, skip_without_room, stand, tree, until, write_random

pytestmark = pytest.mark.room

SMALL, LARGE = "aula1/linux.img", "aula1/windows.img"
CACHE_FULL, NOT_WRITABLE, NO_CACHE = 16, 14, 15


@pytest.fixture(autouse=True)
def possible() -> None:
    skip_without_room(curl="curl")
    skip_without_disks()


@contextmanager
def lesson(folder: Path, rate: float | None = None) -> Iterator[tuple[Repository, Seat]]:
    """A repository, and one seat that is to find its cache by itself."""
    with Room(seats=1, rate=rate) as room:
        repository = Repository(room.repository, folder / "repository")
        yield repository, Seat(room.seats[0], folder, cache=None)


def test_the_cache_is_found_by_its_label_and_filled(tmp_path: Path) -> None:
    with (
        cache_device(tmp_path, 64) as device,
        mounted(device, tmp_path / "a mount point\twith blanks") as cache,
        lesson(tmp_path) as (repository, seat),
    ):
        digest = write_random(repository.images / SMALL, 8 * MEBIBYTE, seed=1)
        repository.serve()
        repository.until_ready(SMALL)
        done = seat.update(repository, SMALL).succeeds()
        assert Path(done["path"]) == cache / "images" / SMALL
        assert stand(cache / "images" / SMALL, digest)
        assert set(tree(cache / "images")) == {
            SMALL + suffix for suffix in ("", ".torrent", ".sum", ".full.sum")
        }


def test_a_cache_that_is_not_mounted_is_refused_with_the_way_to_mount_it(tmp_path: Path) -> None:
    with cache_device(tmp_path, 16) as device, lesson(tmp_path) as (repository, seat):
        told = seat.update(repository, SMALL).fails(NO_CACHE)
        assert f"the partition {device} is not mounted" in told
        assert "ogtorrent mount cache" in told


def test_a_machine_without_a_cache_is_told_how_to_have_one(tmp_path: Path) -> None:
    with cache_device(tmp_path, 16) as device, lesson(tmp_path) as (repository, seat):
        seat.host.run(["e2label", device, "DATA"])
        told = seat.update(repository, SMALL).fails(NO_CACHE)
        assert "no partition has the label CACHE" in told
        assert "--cache DIR" in told


def test_an_image_larger_than_the_cache_is_refused_and_nothing_else_touched(tmp_path: Path) -> None:
    size = 100 * MEBIBYTE
    with (
        cache_device(tmp_path, 64) as device,
        mounted(device, tmp_path / "cache") as cache,
        lesson(tmp_path) as (repository, seat),
    ):
        write_random(repository.images / SMALL, 4 * MEBIBYTE, seed=1)
        write_random(repository.images / LARGE, size, seed=2)
        repository.serve()
        repository.until_ready(SMALL)
        repository.until_ready(LARGE)
        seat.update(repository, SMALL).succeeds()
        before = everything(cache)

        told = seat.update(repository, LARGE).fails(CACHE_FULL)

        needed, free = needed_and_free(told)
        assert size <= needed <= size + 4 * MEBIBYTE
        assert 40 * MEBIBYTE < free < 64 * MEBIBYTE
        assert "too small" in told
        assert everything(cache) == before


@pytest.mark.parametrize("has_old_version", [False, True], ids=["first fill", "rebuilt image"])
def test_a_disk_that_fills_in_mid_download_loses_nothing(tmp_path: Path, has_old_version: bool) -> None:
    size = 40 * MEBIBYTE
    with (
        cache_device(tmp_path, 96) as device,
        mounted(device, tmp_path / "cache") as cache,
        lesson(tmp_path, rate=60) as (repository, seat),
    ):
        write_random(repository.images / SMALL, 4 * MEBIBYTE, seed=1)
        if has_old_version:
            write_random(repository.images / LARGE, 8 * MEBIBYTE, seed=2)
        repository.serve()
        repository.until_ready(SMALL)
        seat.update(repository, SMALL).succeeds()
        old_version = ""
        if has_old_version:
            old_version = repository.until_ready(LARGE)
            seat.update(repository, LARGE).succeeds()
        before = everything(cache)
        new = write_random(repository.images / LARGE, size, seed=3)
        repository.until_ready(LARGE, otherwise_than=old_version)

        update = seat.update(repository, LARGE)
        until(lambda: update.has_begun(0.1), "the download is in the middle")
        filler = cache / "what another program wrote"
        fill(filler)
        told = update.fails(CACHE_FULL)

        needed, free = needed_and_free(told)
        assert 0 < needed < size
        assert free < needed
        assert "is full" in told
        filler.unlink()
        seat.host.set_rate(None)
        repository.host.set_rate(None)
        assert {path: seen for path, seen in everything(cache).items() if path in before} == before
        if not has_old_version:
            assert not (cache / "images" / LARGE).exists()

        # With room again, the same command goes on from what it had.
        done = seat.update(repository, LARGE).succeeds()
        assert stand(cache / "images" / LARGE, new)
        assert 0 < done["fetched"] < size


def test_a_cache_mounted_read_only_is_refused(tmp_path: Path) -> None:
    with cache_device(tmp_path, 64) as device:
        with (
            mounted(device, tmp_path / "cache", "-o", "ro") as cache,
            lesson(tmp_path / "new") as (server, seat),
        ):
            told = seat.update(server, SMALL).fails(NOT_WRITABLE)
            assert str(cache) in told
            assert "Read-only file system" in told
        # A cache that was used before has the seeder's directory and an image already.
        with mounted(device, tmp_path / "cache") as cache, lesson(tmp_path / "used") as (server, seat):
            write_random(server.images / SMALL, MEBIBYTE, seed=1)
            server.serve()
            server.until_ready(SMALL)
            seat.update(server, SMALL).succeeds()
        with (
            mounted(device, tmp_path / "cache", "-o", "ro") as cache,
            lesson(tmp_path / "ro") as (server, seat),
        ):
            told = seat.update(server, SMALL).fails(NOT_WRITABLE)
            assert str(cache) in told
            assert "Read-only file system" in told


def everything(cache: Path) -> dict[str, tuple[int, int, str]]:
    """Every file of a cache but the seeder's own: inode, time and digest."""
    return {
        str(path.relative_to(cache)): (path.stat().st_ino, path.stat().st_mtime_ns, digest)
        for path, digest in ((cache / name, digest) for name, digest in tree(cache).items())
        if ".ogtorrent" not in path.parts
    }


def needed_and_free(told: str) -> tuple[int, int]:
    figures = re.search(r"needs (\d+) more bytes and (\d+) are free", told)
    assert figures is not None, told
    return int(figures[1]), int(figures[2])


def fill(path: Path) -> None:
    """Write until the disk takes no more."""
    chunk = bytes(64 * 1024)
    with pytest.raises(OSError) as refusal, path.open("wb", buffering=0) as file:
        while True:
            file.write(chunk)
    assert refusal.value.errno == errno.ENOSPC
