"""`ogtorrent cache seed` as a service: it follows what stands in its cache, its hours and its limit."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from datetime import time
from pathlib import Path

import pytest
from machines import Seat, Server, image, published, until

from ogtorrent.cache import control, service
from ogtorrent.cache.hours import Quiet
from ogtorrent.swarm import metainfo

pytestmark = pytest.mark.room

MIB = 2**20
SIZE = 4 * MIB
Seats = Callable[..., Seat]
Servers = Callable[..., Server]


def copied(server: Server, name: str, pc: Seat) -> Path:
    """An image with its sidecars, as an administrator copies it."""
    there = pc.cache / "images"
    there.mkdir(exist_ok=True)
    for path in sorted(server.root.glob(f"{name}*")):
        shutil.copy2(path, there)
    return there / name


def is_seeding(server: Server, name: str, pc: Seat) -> bool:
    described = metainfo.read(server.root / f"{name}.torrent")
    return server.peers(described).get(pc.address) == "seeding"


@pytest.fixture
def server(serve: Servers, tmp_path: Path) -> Server:
    root = tmp_path / "images"
    for number, name in enumerate(("windows.img", "linux.img", "data.img")):
        published(root / name, root, SIZE, seed=number)
    started = serve(root)
    started.ready("windows.img")
    started.ready("linux.img")
    started.ready("data.img")
    return started


def test_images_are_taken_up_unread_when_they_come_and_let_go_when_they_go(
    server: Server, seat: Seats
) -> None:
    pc = seat()
    image(pc.cache / "images" / "undescribed.img", 1000)
    (pc.cache / "images" / "hostile.img.torrent").write_bytes(b"l" * MIB)
    (pc.cache / "images" / "x.sum.torrent").write_bytes(b"d4:infodee")
    windows = copied(server, "windows.img", pc)
    with pc.seeding() as process:
        until(lambda: is_seeding(server, "windows.img", pc))
        before = read(process.pid)
        linux = copied(server, "linux.img", pc)
        until(lambda: is_seeding(server, "linux.img", pc))
        assert read(process.pid) - before < SIZE / 2
        windows.unlink()
        until(lambda: not is_seeding(server, "windows.img", pc))
        image(linux, SIZE, seed=9)  # it is no longer what its sidecar says
        until(lambda: not is_seeding(server, "linux.img", pc))
        copied(server, "linux.img", pc)
        until(lambda: is_seeding(server, "linux.img", pc))


def read(pid: int) -> int:
    """Bytes that a process has read."""
    return int(Path(f"/proc/{pid}/io").read_text().split()[1])


def test_what_update_cache_brings_stays_seeded_unless_a_leecher_took_it(server: Server, seat: Seats) -> None:
    pc = seat()
    with pc.seeding() as process:
        until(lambda: pc.seeder() == process.pid)
        assert pc.update(server.address, "windows.img", "--session", "peer:0").done.fetched == SIZE
        assert pc.update(server.address, "linux.img", "--session", "leecher:0").done.fetched == SIZE
        assert pc.seeder() == process.pid
        linux = metainfo.read(server.root / "linux.img.torrent")
        until(lambda: pc.address not in server.peers(linux))  # so the other's time is over, too
        copied(server, "data.img", pc)
        until(lambda: is_seeding(server, "data.img", pc))
        assert is_seeding(server, "windows.img", pc)
        assert pc.address not in server.peers(linux)


def test_a_second_service_of_a_cache_waits_and_takes_over(server: Server, seat: Seats) -> None:
    pc = seat()
    copied(server, "windows.img", pc)
    with ExitStack() as later:
        with pc.seeding() as first:
            until(lambda: pc.seeder() == first.pid)
            second = later.enter_context(pc.seeding())
            assert second.stderr is not None and "runs already; waiting" in second.stderr.readline()
            assert pc.seeder() == first.pid
        until(lambda: pc.seeder() == second.pid)
        until(lambda: is_seeding(server, "windows.img", pc))


def test_a_cache_that_is_made_later_is_found(server: Server, seat: Seats) -> None:
    pc = seat()
    pc.cache.rmdir()
    with pc.seeding() as process:
        assert process.stderr is not None and "There is no cache" in process.stderr.readline()
        pc.cache.mkdir()
        copied(server, "windows.img", pc)
        until(lambda: is_seeding(server, "windows.img", pc))


def test_the_upload_limit_holds(serve: Servers, tmp_path: Path, seat: Seats) -> None:
    published(tmp_path / "images" / "windows.img", tmp_path / "images", SIZE)
    slow = serve(tmp_path / "images", line=20_000)
    slow.ready("windows.img")
    limited, other = seat(), seat()
    copied(slow, "windows.img", limited)
    with limited.seeding("--upload-limit", "8M"):
        until(lambda: is_seeding(slow, "windows.img", limited))
        done = other.update(slow.address, "windows.img").done
    assert done.from_seats > SIZE / 2
    assert done.from_seats / done.seconds < 2 * 1_000_000  # unhindered it is fifty


def test_in_quiet_hours_nothing_is_given_but_what_is_ordered(server: Server, seat: Seats) -> None:
    pc = seat()
    copied(server, "windows.img", pc)
    now, looks = time(7, 59), 0
    quiet = Quiet.parse("08:00-15:00")

    def clock() -> time:
        nonlocal looks
        looks += 1
        return now

    asked = service.Service(pc.cache, pc.address, 0, 0, quiet, clock)

    async def a_while() -> None:
        enough = looks + 6
        await wait(lambda: looks > enough)

    async def a_day() -> None:
        nonlocal now
        seeding = asyncio.create_task(service.serve(asked))
        await wait(lambda: is_seeding(server, "windows.img", pc))
        await wait(lambda: pc.update(server.address, "data.img", "--session", "peer:0").code == 0)
        await a_while()
        assert is_seeding(server, "data.img", pc)
        now = time(8)
        await wait(lambda: not is_seeding(server, "windows.img", pc))
        await wait(lambda: pc.update(server.address, "linux.img", "--session", "peer:60").code == 0)
        await a_while()
        assert is_seeding(server, "linux.img", pc)
        assert not is_seeding(server, "windows.img", pc)
        now = time(15)
        await wait(lambda: is_seeding(server, "windows.img", pc))
        await asyncio.to_thread(control.stop, pc.cache)
        await asyncio.wait_for(seeding, 30)

    asyncio.run(a_day())


async def wait(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(until, condition)
