"""The libraries for clients, against the real tracker: libtorrent, and npm's `bittorrent-tracker`.

Both announce, scrape and say goodbye, by HTTP and by UDP. The programs are in test_tracker_programs.py.
"""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest

from tests.tracker import seeds
from tests.tracker.conftest import CLIENTS_PATIENCE, Heard
from tests.tracker.seeds import Seed

Room = Any
Until = Callable[..., Awaitable[None]]

NPM = Path(__file__).with_name("npm")

pytestmark = pytest.mark.parametrize("door", ["http", "udp"])


async def test_a_libtorrent_session_fills_from_one_that_the_tracker_names_and_leaves(
    room: Room, seed: Seed, tmp_path: Path, until: Until, heard: Heard, door: str
) -> None:
    leech = seeds.session("127.0.0.3")
    taking = seeds.add(leech, seed.torrent, tmp_path / ".taken")
    await heard(rf"{door} 127\.0\.0\.3:\d+ announce 'a' started, 300000 bytes left.* gets 1 peers")

    async def whole() -> bool:
        return bool(taking.status().is_seeding) and seed.stands_in(tmp_path / ".taken")

    await until(whole)

    replies = 0

    async def done() -> bool:
        # While it is telling `completed`, it would tell no `stopped`.
        nonlocal replies
        replies += sum(isinstance(alert, lt.tracker_reply_alert) for alert in leech.pop_alerts())
        return replies >= 2 and b'"done": 2' in (await room.get("/api/v1/swarms"))[1]

    await until(done)
    leech.apply_settings({"stop_tracker_timeout": 5})  # 0 is no goodbye at all
    leech.remove_torrent(taking)
    await heard(rf"{door} 127\.0\.0\.3:\d+ announce 'a' stopped, 0 bytes left")


async def test_a_libtorrent_session_scrapes(
    room: Room, seed: Seed, until: Until, heard: Heard, door: str
) -> None:
    await room.announce(seed.info_hash)
    await room.announce(seed.info_hash, seat=4)
    seed.handle.scrape_tracker()
    told: list[tuple[int, int]] = []

    async def answered() -> bool:
        # An alert is there until the next are asked for.
        told.extend(
            (alert.complete, alert.incomplete)
            for alert in seed.session.pop_alerts()
            if isinstance(alert, lt.scrape_reply_alert)
        )
        return bool(told)

    await until(answered)
    assert told == [(1, 2)]
    await heard(rf"{door} 127\.0\.0\.9 scrape of 1 torrents")


async def test_the_npm_client_announces_scrapes_and_leaves(
    room: Room, seed: Seed, heard: Heard, door: str
) -> None:
    node = shutil.which("node")
    if node is None or not (NPM / "node_modules").is_dir():
        pytest.skip("node, or its package bittorrent-tracker, is not installed: make room-tools")
    await room.announce(seed.info_hash)
    process = await asyncio.create_subprocess_exec(
        node,
        NPM / "client.mjs",
        f"{door}://127.0.0.1:{room.port}/announce",
        seed.info_hash.hex(),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(CLIENTS_PATIENCE):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert json.loads(said) == {
        "announced": {"complete": 1, "incomplete": 2},
        "peers": ["127.0.0.2:6881", seed.endpoint],
        "scraped": {"complete": 1, "downloaded": 0, "incomplete": 2},
    }
    await heard(rf"{door} 127\.0\.0\.1:6881 announce 'a' started, 300000 bytes left")
    await heard(rf"{door} 127\.0\.0\.1:6881 announce 'a' stopped, 300000 bytes left")
