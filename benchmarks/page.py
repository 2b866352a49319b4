"""What the page costs: its first paint, what a viewer is sent, and what of a core the server uses for both.

python -m benchmarks.page

Two hundred seats that are none (make_believe.py) fill from ten swarms. Viewers take the live events as the
page's script does: a page of a new shape is fetched anew.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import quote

import aiohttp
import click

from benchmarks.make_believe import Seat, publish
from benchmarks.trackers import Ours, Server, allow_many_files, running
from tracker.classroom.history import History
from tracker.classroom.record import DeploymentRecord, SeatRecord
from tracker.classroom.snapshot import Deployment, SeatState
from tracker.server import STATE_FILE

SEATS, SWARMS, VIEWERS = 200, 10, 5
TERM = 500  # deployments, of so many seats each
ROOM = 60
SIZE = 40 * 10**9
# So that a fill takes longer than the benchmark.
_RATE = 100e6
_PAINTS = 5
_FIRST_PAINT = """new Promise((told) => new PerformanceObserver((list) => {
  for (const { name, startTime } of list.getEntries()) if (name === "first-contentful-paint") told(startTime);
}).observe({ type: "paint", buffered: true }))"""
_FRESH = 1.0  # seconds at least between two fetches of a page


@dataclass
class Viewer:
    """One tab. Bytes that it was sent, whatever for."""

    path: str
    events: int = 0
    fetched: int = 0
    fetches: int = 0

    @property
    def sent(self) -> int:
        return self.events + self.fetched

    async def watch(self, url: str) -> None:
        headers = {"Accept-Encoding": "gzip"}
        async with aiohttp.ClientSession(url, headers=headers, auto_decompress=False) as session:
            last = 0.0
            timeout = aiohttp.ClientTimeout(total=None)
            accept = {"Accept": "text/event-stream"}
            async with session.get(self.path, headers=accept, timeout=timeout) as stream:
                stream.raise_for_status()
                async for line in stream.content:
                    self.events += len(line)
                    if line.startswith(b"event: reshape") and time.monotonic() - last >= _FRESH:
                        last = time.monotonic()
                        async with session.get(self.path) as page:
                            self.fetched += len(await page.read())
                            self.fetches += 1


@dataclass(frozen=True)
class Span:
    """What happened within some seconds."""

    seconds: float
    cpu: float
    sent: Sequence[int]

    @property
    def share(self) -> float:
        """Of one core."""
        return self.cpu / self.seconds


async def measure(server: Server, viewers: Sequence[Viewer], seconds: float) -> Span:
    began, cpu = time.monotonic(), server.cpu_seconds()
    sent = [viewer.sent for viewer in viewers]
    await asyncio.sleep(seconds)
    passed = time.monotonic() - began
    more = [viewer.sent - before for viewer, before in zip(viewers, sent, strict=True)]
    return Span(passed, server.cpu_seconds() - cpu, more)


@asynccontextmanager
async def background(works: Sequence[asyncio.Task[None]]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for work in works:
            work.cancel()
        for work in works:
            with suppress(asyncio.CancelledError, aiohttp.ClientError):
                await work


async def paints(url: str, path: str) -> list[float]:
    """Milliseconds until the first contentful paint, in a browser that has seen nothing yet."""
    from playwright.async_api import async_playwright

    found = []
    async with async_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        chromium = shutil.which("chromium")
        browser = await playwright.chromium.launch(executable_path=chromium, args=arguments)
        for _ in range(_PAINTS):
            context = await browser.new_context(base_url=url)
            page = await context.new_page()
            await page.goto(path)
            found.append(float(await page.evaluate(_FIRST_PAINT)))
            await context.close()
        await browser.close()
    return found


def seats_of(server: Server, info_hashes: Sequence[bytes], rooms: int) -> list[Seat]:
    return [
        Seat(
            door=server.door,
            info_hash=info_hashes[number % SWARMS],
            size=SIZE,
            address=f"127.10.{number * rooms // SEATS}.{number % (SEATS // rooms) + 1}",
            name=f"pc{number + 1}",
            rate=_RATE,
            gives=0.95 * _RATE,
        )
        for number in range(SEATS)
    ]


async def pages_of(url: str) -> list[str]:
    """A page of each kind, and the overview once more: five viewers."""
    async with aiohttp.ClientSession(url) as session, session.get("/api/v1/swarms") as reply:
        swarm = json.loads(await reply.read())["swarms"][0]
    seat = swarm["seats"][0]
    room, image = quote(seat["room"]), quote(swarm["name"])
    return ["/", "/", f"/rooms/{room}", f"/swarms/{image}", f"/seats/{seat['address']}"]


async def keep_history(folder: Path) -> None:
    """A term of deployments, in the file in which the tracker of the folder looks for them."""
    history = History(folder / STATE_FILE)
    for number in range(TERM):
        began = 1.79e9 + 3600 * number
        seats = [
            SeatRecord(f"pc{pc}", f"10.1.0.{pc}", "aula1", began, 300.0 + pc, SeatState.DONE, 1.0, None)
            for pc in range(1, ROOM + 1)
        ]
        deployment = Deployment(f"{number}", "aula1/windows.img", SIZE, began, began + 400, SIZE, ROOM * SIZE)
        await history.save(DeploymentRecord(deployment, tuple(seats)), began)
    history.close()


async def run(folder: Path, rooms: int, seconds: float) -> None:
    shelf = publish(folder, [f"aula{number + 1}/windows.img" for number in range(SWARMS)], SIZE)
    await keep_history(folder)
    with running(Ours(), shelf) as server:
        url = f"http://{server.door[0]}:{server.door[1]}"
        seats = seats_of(server, shelf.info_hashes, rooms)
        async with background([asyncio.create_task(seat.run()) for seat in seats]):
            await asyncio.sleep(10)
            alone = await measure(server, [], seconds)
            viewers = [Viewer(path) for path in await pages_of(url)]
            async with background([asyncio.create_task(viewer.watch(url)) for viewer in viewers]):
                await asyncio.sleep(2)
                watched = await measure(server, viewers, seconds)
            told = [await paints(url, viewer.path) for viewer in viewers[1:]]
            history = await paints(url, "/history")
    click.echo(f"server: {alone.share:.1%} of a core, with {VIEWERS} viewers {watched.share:.1%}\n")
    click.echo("| page | first paint, ms | kB/s | pages fetched |\n|---|---|---|---|")
    for viewer, sent, painted in zip(viewers[1:], watched.sent[1:], told, strict=True):
        rate = sent / watched.seconds / 1000
        click.echo(f"| {viewer.path} | {_spread(painted)} | {rate:.1f} | {viewer.fetches} |")
    click.echo(f"| /history of {TERM} | {_spread(history)} | | |")


def _spread(figures: Sequence[float]) -> str:
    return f"{median(figures):.0f} ({min(figures):.0f}–{max(figures):.0f})"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rooms", default=10, show_default=True, help="Rooms that the seats sit in.")
@click.option("--seconds", default=20.0, show_default=True, help="How long each part is measured.")
def main(rooms: int, seconds: float) -> None:
    """Print what the page of 200 seats in 10 swarms costs, as a Markdown table."""
    allow_many_files()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder), rooms, seconds))


if __name__ == "__main__":
    main()
