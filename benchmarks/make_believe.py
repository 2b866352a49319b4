"""Seats that only say what seats say: they announce and report as ours do, and fill at a pace of their own.

Loopback answers to all of 127.0.0.0/8, so each has an address, and each /24 is a room.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bencode2 import bencode

from benchmarks.trackers import Door, Shelf

PIECE = 16 << 20
_ANNOUNCE_PAUSE = 5.0
_REPORT_PAUSE = 3.0  # until the server says otherwise
_PORT = 6881
_CACHE = 200 << 30
_BARS = 64


def publish(folder: Path, names: list[str], size: int) -> Shelf:
    """Torrents of images that nobody has, of `size` bytes each."""
    info_hashes = []
    for name in names:
        pieces = random.Random(name).randbytes(20 * -(-size // PIECE))
        info = bencode({b"length": size, b"name": b"images", b"piece length": PIECE, b"pieces": pieces})
        path = folder / f"{name}.torrent"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"d8:announce18:http://127.0.0.1/a4:info" + info + b"e")
        info_hashes.append(hashlib.sha1(info).digest())
    return Shelf(folder, info_hashes)


@dataclass
class Seat:
    """One PC and one image. Bytes, and bytes per second; `facts` go into its reports as they are.

    From 127.0.0.1 it is the repository's seed.
    """

    door: Door
    info_hash: bytes
    size: int
    address: str
    name: str  # none: a client that reports nothing
    rate: float
    gives: float
    done: float = 0.0
    given: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    silent: bool = False
    rng: random.Random = field(default_factory=random.Random)
    _now: float = 0.0
    _line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None  # kept for reports

    async def run(self) -> None:
        """Until it is cancelled; a server that is away is asked again."""
        await asyncio.sleep(self.rng.uniform(0, _REPORT_PAUSE))
        self._now = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._announcing())
            if self.name:
                group.create_task(self._reporting())

    def catch_up(self) -> float:
        """Fill and give, not quite evenly, for the time that has passed; the rate of that filling."""
        now = time.monotonic()
        seconds, self._now = now - self._now, now
        rate = self.rate * self.rng.uniform(0.9, 1.1) if self.done < self.size else 0.0
        self.done = min(self.size, self.done + rate * seconds)
        self.given += self.gives * seconds
        return rate

    async def fail(self, code: int, error: str) -> None:
        """Tell why it cannot even begin, as our client does; in place of `run`."""
        self._now = time.monotonic()
        self.facts |= {"doing": "failed", "error_code": code, "error": error}
        await self.report()

    async def announce(self, event: str = "") -> None:
        self.catch_up()
        left = self.size - int(self.done)
        told = (
            f"/announce?info_hash={quote(self.info_hash)}&peer_id={quote(self._peer_id)}&port={_PORT}"
            f"&uploaded={int(self.given)}&downloaded={int(self.done)}&left={left}&compact=1&numwant=200"
        )
        target = f"{told}&event={event}" if event else told
        # A connection for each, as libtorrent does it.
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(*self.door, local_addr=(self.address, 0))
            writer.write(
                f"GET {target} HTTP/1.1\r\nHost: {self.door[0]}\r\nConnection: close\r\n\r\n".encode()
            )
            await reader.read()
            writer.close()

    async def report(self) -> float:
        """Seconds until the next is wanted."""
        rate = self.catch_up()
        told = {
            "info_hash": self.info_hash.hex(),
            "port": _PORT,
            "name": self.name,
            "doing": "filling" if self.done < self.size else "done",
            "done": int(self.done),
            "download_rate": int(rate),
            "upload_rate": int(self.gives),
            "link": 1000,
            "disk_rate": 400_000_000,
            "disk_waits": 0.01,
            "reachable": True,
            "cache_size": _CACHE,
            "cache_free": _CACHE - int(self.done),
            "peers": 12,
            "availability": [self.rng.randrange(3, 20) for _ in range(_BARS)],
            **self.facts,
        }
        body = json.dumps(told).encode()
        head = f"POST /api/v1/reports HTTP/1.1\r\nHost: {self.door[0]}\r\nContent-Type: application/json\r\n"
        try:
            if self._line is None:
                self._line = await asyncio.open_connection(*self.door, local_addr=(self.address, 0))
            reader, writer = self._line
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = await reader.readuntil(b"}")
        except (OSError, asyncio.IncompleteReadError):
            self._line = None
            return _REPORT_PAUSE
        return float(json.loads(answer.partition(b"\r\n\r\n")[2])["next"])

    async def _announcing(self) -> None:
        await self.announce("started")
        whole = False
        while True:
            await asyncio.sleep(_ANNOUNCE_PAUSE)
            if not self.silent:
                has_finished = self.done >= self.size and not whole
                await self.announce("completed" if has_finished else "")
                whole = whole or has_finished

    async def _reporting(self) -> None:
        pause = _REPORT_PAUSE
        while True:
            if not self.silent:
                pause = await self.report()
            await asyncio.sleep(pause)

    @property
    def _peer_id(self) -> bytes:
        return hashlib.sha1(f"{self.address} {self.info_hash.hex()}".encode()).digest()
