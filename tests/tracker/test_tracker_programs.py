"""The programs that people run, against the real tracker by each of its doors that they speak.

| program      | HTTP              | UDP                        | scrapes of itself                          |
| ------------ | ----------------- | -------------------------- | ------------------------------------------ |
| aria2        | yes               | yes, when its DHT is on    | never                                      |
| ctorrent     | yes               | no                         | never                                      |
| qbittorrent  | yes               | yes                        | what has been in its queue for minutes     |
| transmission | yes               | yes                        | yes, but by HTTP not what it announces     |

What qbittorrent would send after minutes is libtorrent's scrape: see test_tracker_clients.py.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import bencode2
import pytest

from tests.tracker.conftest import CLIENTS_PATIENCE, Heard
from tests.tracker.seeds import Seed

Room = Any
Until = Callable[..., Awaitable[None]]
Ask = Callable[..., Awaitable[Any]]

pytestmark = pytest.mark.room

CLIENT = "127.0.0.2"
RPC_SESSION = "X-Transmission-Session-Id"

QBITTORRENT = f"""\
[LegalNotice]
Accepted=true
[BitTorrent]
Session\\DHTEnabled=false
Session\\Interface=lo
Session\\InterfaceAddress={CLIENT}
Session\\LSDEnabled=false
Session\\PeXEnabled=false
Session\\Port=0
[Network]
PortForwardingEnabled=false
[Preferences]
Connection\\ResolvePeerCountries=false
WebUI\\Address={CLIENT}
WebUI\\Port=0
"""


def aria2c(torrent: Path, folder: Path) -> list[str]:
    # Without its DHT it has no UDP. It knows no node to ask.
    dht = ["--enable-dht=true", f"--dht-file-path={folder / 'dht.dat'}"]
    alone = ["--bt-enable-lpd=false", "--enable-peer-exchange=false", f"--interface={CLIENT}"]
    quiet = ["--no-conf", "--disable-ipv6=true", "--show-console-readout=false"]
    return ["aria2c", *quiet, *dht, *alone, f"--dir={folder}", "--seed-ratio=0.0", str(torrent)]


def ctorrent(torrent: Path, folder: Path) -> list[str]:
    files = ["-s", f"{folder / 'images'}", "-b", f"{folder / 'bitfield'}"]
    return ["ctorrent", *files, "-i", CLIENT, str(torrent)]


def qbittorrent(torrent: Path, folder: Path) -> list[str]:
    configuration = folder / "qBittorrent" / "config" / "qBittorrent.conf"
    configuration.parent.mkdir(parents=True)
    configuration.write_text(QBITTORRENT)
    options = [f"--profile={folder}", f"--save-path={folder}", "--skip-dialog=true"]
    return ["qbittorrent-nox", *options, str(torrent)]


@pytest.mark.parametrize(
    ("program", "door"),
    [(aria2c, "http"), (aria2c, "udp"), (ctorrent, "http"), (qbittorrent, "http"), (qbittorrent, "udp")],
)
async def test_a_program_fills_from_the_seed_that_the_tracker_names_and_leaves(
    seed: Seed, tmp_path: Path, until: Until, heard: Heard, program: Callable[..., list[str]], door: str
) -> None:
    folder = tmp_path / ".client"
    folder.mkdir()

    async def whole() -> bool:
        return seed.stands_in(folder)

    who = rf"{door} {CLIENT}:\d+ announce 'a'"
    async with running(program(seed.torrent, folder), folder) as process:
        await heard(rf"{who} started, 300000 bytes left.* gets 1 peers")
        await until(whole, CLIENTS_PATIENCE)
        if program is not ctorrent:  # which waits fifteen seconds before it speaks again
            await heard(rf"{who} completed, 0 bytes left, 300000 down")
        process.send_signal(signal.SIGINT)
        await heard(rf"{who} stopped, 0 bytes left, 300000 down")


@pytest.fixture
async def ask(room: Room, tmp_path: Path, until: Until) -> AsyncIterator[Ask]:
    """Transmission's daemon does what it is asked: a method, and its arguments."""
    folder = tmp_path / ".client"
    folder.mkdir()
    port = free_port()
    settings = {
        "bind-address-ipv4": CLIENT,
        "dht-enabled": False,
        "download-dir": str(folder),
        "lpd-enabled": False,
        "peer-port-random-on-start": True,
        "pex-enabled": False,
        "port-forwarding-enabled": False,
        "rpc-bind-address": "127.0.0.1",
        "rpc-port": port,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    url = f"http://127.0.0.1:{port}/transmission/rpc"
    session: dict[str, str] = {}

    async def listens() -> bool:
        with suppress(aiohttp.ClientConnectorError):
            async with room.session.get(url) as refusal:
                session[RPC_SESSION] = refusal.headers[RPC_SESSION]
        return bool(session)

    async def ask(method: str, **arguments: Any) -> Any:
        body = {"method": method, "arguments": arguments}
        async with room.session.post(url, json=body, headers=session) as reply:
            return (await reply.json())["arguments"]

    async with running(["transmission-daemon", "--foreground", f"--config-dir={folder}"], folder):
        await until(listens, CLIENTS_PATIENCE)
        yield ask


@pytest.mark.parametrize("door", ["http", "udp"])
async def test_transmission_and_the_seed_learn_of_each_other_and_it_leaves(
    seed: Seed, ask: Ask, until: Until, heard: Heard, door: str
) -> None:
    who = rf"{door} {CLIENT}:\d+ announce 'a'"
    await ask("torrent-add", filename=str(seed.torrent))
    await heard(rf"{who} started, 300000 bytes left.* gets 1 peers")
    # It never goes to a peer on loopback, but lets one come.
    seed.ask_again()

    async def met() -> bool:
        (torrent,) = (await ask("torrent-get", fields=["peers", "trackerStats"]))["torrents"]
        peers = [f"{peer['address']}:{peer['port']}" for peer in torrent["peers"]]
        (tracker,) = torrent["trackerStats"]
        return peers == [seed.endpoint] and tracker["lastAnnouncePeerCount"] == 1

    await until(met, CLIENTS_PATIENCE)
    await ask("torrent-stop")
    await heard(rf"{who} stopped")


@pytest.mark.parametrize("door", ["http", "udp"])
async def test_transmission_scrapes_for_a_torrent_that_waits(
    room: Room, seed: Seed, ask: Ask, until: Until, heard: Heard, door: str
) -> None:
    await room.announce(seed.info_hash)
    await room.announce(seed.info_hash, seat=4)
    # It scrapes a tracker at some moment of three minutes, so this one is given to it many times.
    described = bencode2.bdecode(seed.torrent.read_bytes())
    described[b"announce-list"] = [[described[b"announce"] + b"?%d" % number] for number in range(100)]
    seed.torrent.write_bytes(bencode2.bencode(described))
    await ask("torrent-add", filename=str(seed.torrent), paused=True)

    async def answered() -> bool:
        (torrent,) = (await ask("torrent-get", fields=["trackerStats"]))["torrents"]
        return any(
            tracker["lastScrapeSucceeded"] and (tracker["seederCount"], tracker["leecherCount"]) == (1, 2)
            for tracker in torrent["trackerStats"]
        )

    await until(answered, CLIENTS_PATIENCE)
    await heard(rf"{door} {CLIENT} scrape of 1 torrents")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def running(argv: list[str], folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that has a folder for its home, until the block ends."""
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not installed")
    process = await asyncio.create_subprocess_exec(
        *argv, cwd=folder, env={**os.environ, "HOME": str(folder)}, stdin=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
