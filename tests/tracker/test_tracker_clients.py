"""Real BitTorrent clients against the real tracker."""

import asyncio
import os
import shutil
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest

Room = Any
Until = Callable[..., Awaitable[None]]

ISOLATED = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "min_announce_interval": 1,
    # A session waits for its goodbyes as it goes, and holds up the loop that would answer them.
    "stop_tracker_timeout": 0,
}


@pytest.fixture
def image(tmp_path: Path, room: Room) -> Path:
    """An image in its own folder outside the tracker's view, and its torrent within."""
    root = tmp_path / ".seed" / "images"
    root.mkdir(parents=True)
    (root / "a.img").write_bytes(os.urandom(300_000))
    made = lt.create_torrent(lt.list_files(str(root)), piece_size=16384, flags=lt.create_torrent.v1_only)
    made.add_tracker(f"{room.url}/announce")
    lt.set_piece_hashes(made, str(root.parent))
    path = tmp_path / "a.torrent"
    path.write_bytes(lt.bencode(made.generate()))
    return path


def add(session: Any, torrent: Path, folder: Path) -> Any:
    parameters = lt.load_torrent_file(str(torrent))
    parameters.save_path = str(folder)
    parameters.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    return session.add_torrent(parameters)


async def test_two_libtorrent_sessions_find_each_other_through_the_tracker(
    room: Room, image: Path, tmp_path: Path, until: Until
) -> None:
    seed, leech = (
        lt.session(ISOLATED | {"listen_interfaces": f"{address}:0"}) for address in ("127.0.0.2", "127.0.0.3")
    )
    seeding = add(seed, image, tmp_path / ".seed")

    async def seen_as_seed() -> bool:
        return b"127.0.0.2" in (await room.get("/api/v1/swarms"))[1] and seeding.status().is_seeding

    await until(seen_as_seed)
    taking = add(leech, image, tmp_path / ".taken")

    async def whole() -> bool:
        return bool(taking.status().is_seeding)

    await until(whole)
    assert (tmp_path / ".taken/images/a.img").read_bytes() == (tmp_path / ".seed/images/a.img").read_bytes()

    async def done() -> bool:
        return b'"done": 2' in (await room.get("/api/v1/swarms"))[1]

    await until(done)


COMMANDS = {
    "aria2c": [
        "aria2c", "--no-conf", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false",
        "--interface=127.0.0.2", "--dir=.", "--seed-time=0", "--listen-port=17731", "../a.torrent",
    ],
    "ctorrent": ["ctorrent", "-s", "images", "-i", "127.0.0.2", "-p", "17732", "-e", "0", "../a.torrent"],
}  # fmt: skip


@pytest.mark.parametrize("program", ["aria2c", "ctorrent"])
async def test_a_client_of_another_make_announces_itself(
    room: Room, image: Path, tmp_path: Path, until: Until, program: str
) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    folder = tmp_path / ".client"
    folder.mkdir()
    process = await asyncio.create_subprocess_exec(
        *COMMANDS[program],
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )

    async def shown() -> bool:
        return b'"left": 300000' in (await room.get("/api/v1/swarms"))[1]

    async def gone() -> bool:
        return b'"left"' not in (await room.get("/api/v1/swarms"))[1]

    try:
        await until(shown)
        if program == "aria2c":  # ctorrent takes its time for a goodbye
            process.send_signal(signal.SIGINT)
            await until(gone)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
