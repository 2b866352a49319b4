"""A repository on a disk: it seeds as it stands, and its seat feeds the room. A folder is the disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from machines import Seat, Server, environment, image, ogtorrent, published, until

from ogtorrent.layout import recognise, seeder_place
from ogtorrent.swarm import metainfo

pytestmark = pytest.mark.room

MIB = 2**20
SIZE = 4 * MIB
NOT_THERE, GONE, CORRUPT = 2, 23, 33
Seats = Callable[..., Seat]
Servers = Callable[..., Server]


@pytest.fixture
def usb(tmp_path: Path) -> Path:
    """A disk as `cp` leaves it: the images have other times than those that were published."""
    there = tmp_path / "USB-1" / "images"
    published(there / "aula1" / "windows.img", there, SIZE)
    os.utime(there / "aula1" / "windows.img")
    return there.parent


@pytest.fixture
def feeder(seat: Seats) -> Iterator[Seat]:
    pc = seat()
    yield pc
    ogtorrent("cache", "stop", "--cache", pc.cache)
    assert "Traceback" not in pc.log


def from_disk(pc: Seat, place: Path, *named: str, options: tuple[str, ...] = ()) -> tuple[int, str]:
    """`update-cache --from`, and what it told."""
    given = ["--from", place, *named, "--cache", pc.cache, "--address", pc.address, *options]
    ran = ogtorrent("update-cache", *given)
    assert "Traceback" not in ran.stderr
    return ran.returncode, ran.stdout + ran.stderr


def everything(top: Path) -> dict[str, tuple[int, int, int]]:
    def seen(path: Path) -> tuple[int, int, int]:
        status = path.stat()
        return status.st_ino, status.st_size, status.st_mtime_ns

    return {str(path): seen(path) for path in (top, *top.rglob("*"))}


def test_the_seat_with_the_disk_is_the_server_of_its_room(usb: Path, feeder: Seat, seat: Seats) -> None:
    before = everything(usb)
    code, told = from_disk(feeder, usb, "aula1", "windows.img")
    assert code == 0, told
    assert f"ogtorrent update-cache {feeder.address} aula1 windows.img" in told
    other = seat()
    done = other.update(feeder.address, "windows.img", subdir="aula1").done
    original = (usb / "images" / "aula1" / "windows.img").read_bytes()
    for pc in (feeder, other):
        assert (pc.cache / "images" / "aula1" / "windows.img").read_bytes() == original
    assert done.fetched == SIZE
    assert everything(usb) == before
    # Once more: the same server, nothing to fetch; and another image of the disk comes from it, too.
    assert from_disk(feeder, usb, "aula1", "windows.img")[0] == 0
    assert feeder.log.count("windows.img: seeding") == 1


def test_an_image_without_a_torrent_is_read_once_and_described_in_the_cache(
    usb: Path, feeder: Seat, seat: Seats
) -> None:
    bare = image(usb / "images" / "linux.img", SIZE, seed=2)
    before = everything(usb)
    code, told = from_disk(feeder, usb, "/", "linux.img")
    assert code == 0, told
    assert seat().update(feeder.address, "linux.img").done.fetched == SIZE
    assert everything(usb) == before
    # Another version of it is another image.
    image(bare, SIZE + 1, seed=3)
    assert from_disk(feeder, usb, "/", "linux.img")[0] == 0
    assert (feeder.cache / "images" / "linux.img").read_bytes() == bare.read_bytes()


def test_a_torrent_that_does_not_fit_its_image_is_told(usb: Path, feeder: Seat) -> None:
    broken = usb / "images" / "aula1" / "windows.img"
    content = bytearray(broken.read_bytes())
    content[SIZE // 2] ^= 1
    broken.write_bytes(content)
    code, told = from_disk(feeder, usb, "aula1", "windows.img")
    assert code == CORRUPT and f"bytes of {broken} are not what its .torrent says" in told
    assert not (feeder.cache / "images" / "aula1" / "windows.img").exists()
    code, told = from_disk(feeder, usb, "aula1", "windows.img")
    assert code == CORRUPT and "are not what was published" in told

    broken.write_bytes(content[:-1])
    code, told = from_disk(feeder, usb, "aula1", "windows.img")
    assert code == CORRUPT and f"{SIZE - 1} bytes, its .torrent says {SIZE}" in told


def test_what_leads_from_a_disk_to_another_is_not_published(usb: Path, feeder: Seat, tmp_path: Path) -> None:
    """Whoever made the disk made its links root's, and may wish to read what the PC's root can."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        assert Path(elsewhere).stat().st_dev != usb.stat().st_dev
        image(Path(elsewhere, "images", "secret.img"), SIZE)
        (usb / "images" / "secret.img").symlink_to(Path(elsewhere, "images", "secret.img"))
        code, told = from_disk(feeder, usb, "/", "secret.img")
        assert code == CORRUPT and "it is a link that leads out of the disk" in told, told
        (usb / "images").rename(usb / "aside")
        (usb / "images").symlink_to(Path(elsewhere, "images"))
        code, told = from_disk(feeder, usb, "/", "secret.img")
        assert code == 3 and "is a link that leads out of the disk" in told, told
    assert not feeder.log


def test_a_fifo_for_a_torrent_is_told_and_nobody_waits_for_it(usb: Path, feeder: Seat) -> None:
    image(usb / "images" / "linux.img", SIZE, seed=2)
    os.mkfifo(usb / "images" / "linux.img.torrent")
    code, told = from_disk(feeder, usb, "/", "linux.img")
    assert code == CORRUPT and "it is no regular file" in told, told
    assert from_disk(feeder, usb, "aula1", "windows.img")[0] == 0


def test_cache_stop_ends_a_server_that_has_not_told_its_address_yet(feeder: Seat) -> None:
    ogtorrent("cache", "list", "--cache", feeder.cache)
    lock = seeder_place(feeder.cache) / "feeder-1-2.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    holds = ["flock", lock, "sh", "-c", f"sleep 1; echo $$ >{lock}; exec sleep 60"]
    with subprocess.Popen(list(map(str, holds))) as starting:
        until(lambda: lock.exists() and subprocess.run(["flock", "-n", lock, "true"]).returncode)
        ran = ogtorrent("cache", "stop", "--cache", feeder.cache)
        assert (ran.returncode, ran.stderr) == (0, "")
        starting.wait(5)


def test_a_disk_that_is_pulled_out_in_the_middle_is_told_and_what_came_stays(usb: Path, feeder: Seat) -> None:
    broken = usb / "images" / "aula1" / "windows.img"
    content = broken.read_bytes()
    broken.write_bytes(content[:-1] + b"?")  # so that it waits for somebody who has the last piece
    given = ["update-cache", "--from", usb, "aula1", "windows.img", "--cache", feeder.cache]
    command = [sys.executable, "-m", "ogtorrent", *given, "--address", feeder.address]
    running = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: "pieces are here already" in feeder.log)
        usb.rename(usb.with_name("pulled out"))
        _, told = running.communicate(timeout=60)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == GONE and "it was pulled out or unmounted" in told, told
    until(lambda: feeder.log.count("is no longer there") == 2)  # the server's end, and the command's
    usb.with_name("pulled out").rename(usb)
    broken.write_bytes(content)
    assert from_disk(feeder, usb, "aula1", "windows.img")[0] == 0


@pytest.mark.parametrize(
    ("place", "named", "code", "sentence"),
    [
        ("USB-1", ("/", "gone.img"), NOT_THERE, "no image 'gone.img'"),
        ("none", ("/", "gone.img"), 3, "is no directory"),
        ("USB-1", ("server", "/", "gone.img"), 1, "with --from PLACE, SUBDIR IMAGE"),
        ("USB-1", ("gone.img",), 1, "with --from PLACE, SUBDIR IMAGE"),
    ],
    ids=["no such image", "no disk", "a server, too", "too little"],
)
def test_what_is_not_there_is_refused_and_nothing_begins(
    usb: Path, feeder: Seat, place: str, named: tuple[str, ...], code: int, sentence: str
) -> None:
    refused, told = from_disk(feeder, usb.with_name(place), *named)
    assert (refused, sentence in told) == (code, True), told
    assert not feeder.log


@contextmanager
def seeding_from(pc: Seat, place: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`cache seed --from`."""
    command = [sys.executable, "-m", "ogtorrent", "cache", "seed", "--from", str(place), "--port", "0"]
    with log.open("wb") as err:
        process = subprocess.Popen([*command, "--address", pc.address], env=environment(), stderr=err)
    try:
        yield process
        process.terminate()
        assert process.wait(10) == 0
        assert "Traceback" not in log.read_text()
    finally:
        process.kill()
        process.wait()


def test_a_mounted_repository_seeds_unread_and_a_disk_that_goes_is_waited_for(
    serve: Servers, seat: Seats, tmp_path: Path
) -> None:
    root = tmp_path / "images"
    published(root / "windows.img", root, 16 * MIB)
    server = serve(root)
    described = server.ready("windows.img")
    mount, log = tmp_path / "opt" / "opengnsys" / "images", tmp_path / "feeder.log"
    shutil.copytree(root, mount)
    os.utime(mount / "windows.img")
    image(mount / "short.img", 10)
    shutil.copy(mount / "windows.img.torrent", mount / "short.img.torrent")
    pc = seat()

    def seeds() -> bool:
        return server.peers(described).get(pc.address) == "seeding"

    with seeding_from(pc, mount, log) as process:
        until(seeds)
        # proc_pid_io(5): nobody asked for a byte of the image, so none was read.
        read = Path(f"/proc/{process.pid}/io").read_text()
        assert int(read.split()[1]) < 12 * MIB, read
        assert "short.img: is not seeded: its .torrent is of images/windows.img" in log.read_text()
        mount.rename(tmp_path / "pulled out")
        until(lambda: "no longer there" in log.read_text() and not seeds())
        assert process.poll() is None
        (tmp_path / "pulled out").rename(mount)
        until(seeds)


def test_a_bare_folder_goes_by_the_name_that_its_torrents_have(tmp_path: Path, feeder: Seat) -> None:
    root = tmp_path / "images"
    published(root / "windows.img", root, SIZE)
    stick = tmp_path / "USB-2"
    root.rename(stick)
    assert metainfo.read(stick / "windows.img.torrent").name == "images"
    assert recognise(stick).mirror.name == "USB-2"
    code, told = from_disk(feeder, stick, "/", "windows.img")
    assert code == 0, told
    assert (feeder.cache / "images" / "windows.img").read_bytes() == (stick / "windows.img").read_bytes()
