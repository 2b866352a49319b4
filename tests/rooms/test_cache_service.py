"""The seeder of a cache as a service, on a real disk that comes and goes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from machines import DEADLINE, Seat, Server, environment, published, until

from ogtorrent.layout import seeder_home, seeder_place
from ogtorrent.swarm import metainfo

from .disks import cache_device, mounted, skip_without_disks

pytestmark = [pytest.mark.room, pytest.mark.root]

SIZE = 4 * 2**20
SLOW = 20_000  # bytes a second of the server, so that the seat gives most


@pytest.fixture(autouse=True)
def possible() -> None:
    skip_without_disks()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    root = tmp_path / "images"
    published(root / "windows.img", root, SIZE)
    started = Server(tmp_path / "server", root, line=SLOW)
    try:
        started.ready("windows.img")
        yield started
    finally:
        started.end()


@contextmanager
def service(pc: Seat, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`cache seed` that is to find its cache by the label; ended by SIGTERM, without a traceback."""
    with log.open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "ogtorrent", "cache", "seed", "--address", pc.address, "--port", "0"],
            env=environment(),
            stderr=err,
            start_new_session=True,
        )
    try:
        yield process
        process.terminate()
        assert process.wait(DEADLINE) == 0
        assert "Traceback" not in log.read_text()
    finally:
        process.kill()
        process.wait()


def is_seeding(server: Server, pc: Seat) -> bool:
    described = metainfo.read(server.root / "windows.img.torrent")
    return server.peers(described).get(pc.address) == "seeding"


def fill(cache: Path, server: Server) -> None:
    (cache / "images").mkdir()
    for path in server.root.iterdir():
        shutil.copy2(path, cache / "images")


def test_a_cache_is_seeded_from_its_mount_to_its_unmount(tmp_path: Path, server: Server) -> None:
    at = tmp_path / "cache"
    with cache_device(tmp_path, 64) as device:
        with mounted(device, at):
            fill(at, server)
        pc, other = Seat(at), Seat(tmp_path / "other")
        log = tmp_path / "service.log"
        with service(pc, log):
            until(lambda: "is not mounted" in log.read_text())
            with mounted(device, at):
                until(lambda: is_seeding(server, pc))
                assert not (seeder_home(at) / "seeder.lock").exists()
                assert other.update(server.address, "windows.img").done.from_seats > SIZE / 2
                other.stop()
                until(lambda: unmount(at))  # its file is closed when nobody asks any more
                until(lambda: not is_seeding(server, pc))
                run("mount", device, at)
                until(lambda: is_seeding(server, pc))
                with (at / "images" / "windows.img").open("rb"):
                    run("umount", "--lazy", at)
                    until(lambda: not is_seeding(server, pc))
                run("mount", device, at)
                until(lambda: is_seeding(server, pc))


def test_update_cache_finds_the_service_of_a_disk(tmp_path: Path, server: Server) -> None:
    with cache_device(tmp_path, 64) as device, mounted(device, tmp_path / "cache") as at:
        pc = Seat(at)
        with service(pc, tmp_path / "service.log"):
            until(lambda: (seeder_place(at) / "seeder.sock").exists())
            server.end()
            fast = Server(tmp_path / "fast", server.root)
            try:
                fast.ready("windows.img")
                assert pc.update(fast.address, "windows.img", "--session", "peer:0").done.fetched == SIZE
                assert "windows.img: whole" in (tmp_path / "service.log").read_text()
                until(lambda: unmount(at))
                run("mount", device, at)
                until(lambda: is_seeding(fast, pc))
            finally:
                fast.end()


def test_an_image_that_the_disk_does_not_give_is_let_go_without_a_storm(
    tmp_path: Path, server: Server
) -> None:
    at, log = tmp_path / "cache", tmp_path / "service.log"
    with cache_device(tmp_path, 64) as device:
        with mounted(device, at):
            fill(at, server)
        pc, other = Seat(at), Seat(tmp_path / "other")
        with mounted(device, at), service(pc, log):
            until(lambda: is_seeding(server, pc))
            os.truncate(tmp_path / "cache.disk", 2**20)  # what is read beyond its end is an I/O error
            update = other.start(server.address, "windows.img")
            try:
                until(lambda: "no longer seeded" in log.read_text())
                until(lambda: not is_seeding(server, pc))
            finally:
                update.process.kill()
                update.end()
                other.stop()
            assert log.read_text().count("windows.img") < 6


def unmount(at: Path) -> bool:
    return subprocess.run(["umount", at], capture_output=True, check=False).returncode == 0


def run(*argv: str | Path) -> None:
    subprocess.run(argv, check=True)
