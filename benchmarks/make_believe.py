"""Seats that only say what seats say: they announce and report as ours do, and fill at a pace of their own.

Loopback answers to all of 127.0.0.0/8, so each has an address, and each /24 is a room.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bencode2 import bencode

from benchmarks.trackers import Door, Shelf

PIECE = 16 << 20
_ANNOUNCE_PAUSE = 5.0
_REPORT_PAUSE = 3.0
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
    """One PC and one image. Bytes, and bytes per second; `facts` go into its reports as they are."""

    door: Door
    info_hash: bytes
    size: int
    address: str
    name: str  # none: a client that reports nothing
    rate: float
    done: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    silent: bool = False
    rng: random.Random = field(default_factory=random.Random)

    async def run(self) -> None:
        """Until it is cancelled; a server that is away is asked again."""
        await asyncio.sleep(self.rng.uniform(0, _REPORT_PAUSE))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._announcing())
            if self.name:
                group.create_task(self._reporting())

    def pass_by(self, seconds: float) -> float:
        """Fill that long, not quite evenly; the rate of that time."""
        rate = self.rate * self.rng.uniform(0.9, 1.1) if self.done < self.size else 0.0
        self.done = min(self.size, self.done + rate * seconds)
        return rate

    async def announce(self, event: str = "") -> None:
        left = self.size - int(self.done)
        told = (
            f"/announce?info_hash={quote(self.info_hash)}&peer_id={quote(self._peer_id)}&port={_PORT}"
            f"&uploaded={int(0.9 * self.done)}&downloaded={int(self.done)}&left={left}&compact=1&numwant=200"
        )
        await self._ask(f"GET {told}{event and f'&event={event}'} HTTP/1.1\r\n", b"")

    async def report(self, rate: float) -> None:
        told = {
            "info_hash": self.info_hash.hex(),
            "port": _PORT,
            "name": self.name,
            "doing": "filling" if self.done < self.size else "done",
            "done": int(self.done),
            "download_rate": int(rate),
            "upload_rate": int(0.9 * rate),
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
        head = "POST /api/v1/reports HTTP/1.1\r\nContent-Type: application/json\r\n"
        await self._ask(f"{head}Content-Length: {len(body)}\r\n", body)

    async def _announcing(self) -> None:
        await self.announce("started")
        whole = False
        while True:
            await asyncio.sleep(_ANNOUNCE_PAUSE)
            if not self.name:
                self.pass_by(_ANNOUNCE_PAUSE)
            if not self.silent:
                now_whole = self.done >= self.size
                await self.announce("completed" if now_whole and not whole else "")
                whole = now_whole

    async def _reporting(self) -> None:
        while True:
            rate = self.pass_by(_REPORT_PAUSE)
            if not self.silent:
                await self.report(rate)
            await asyncio.sleep(_REPORT_PAUSE)

    @property
    def _peer_id(self) -> bytes:
        return hashlib.sha1(f"{self.address} {self.info_hash.hex()}".encode()).digest()

    async def _ask(self, head: str, body: bytes) -> None:
        # A connection for each, as clients do it that come every few seconds.
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(*self.door, local_addr=(self.address, 0))
            writer.write(f"{head}Host: {self.door[0]}\r\nConnection: close\r\n\r\n".encode() + body)
            await reader.read()
            writer.close()
