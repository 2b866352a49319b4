"""make screenshots: the pictures of the page in docs/, of rooms that are none (benchmarks/make_believe.py).

A minute passes until the rooms are as far as they should be: nothing of the page is made up but the PCs.
"""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from playwright.async_api import Browser, async_playwright

from benchmarks.make_believe import Seat, publish
from benchmarks.trackers import Door
from tracker.classroom.history import History
from tracker.classroom.record import DeploymentRecord, SeatRecord
from tracker.classroom.snapshot import Deployment, SeatState, Trouble, TroubleKind

HERE = Path(__file__).parent
WAIT = 65.0  # seconds
SIZE = 11 * 10**9  # so that a room at a gigabit is two thirds through by then
WINDOWS, LINUX = "aulas/windows11.img", "aulas/ubuntu-24.04.img"
ROOMS = {"Aula 1": 1, "Aula 2": 2, "Laboratorio 3": 3}
SLOW, SILENT, FULL, FOREIGN = 17, 22, 9, 24  # seats of the first room
_GIGABIT = 112e6  # bytes per second of an image
_WIDTH, _HEIGHT = 1280, 900
_DAY = 24 * 3600


def seat(door: Door, info_hash: bytes, room: int, number: int, rate: float, name: str) -> Seat:
    rng = random.Random(f"{room} {number}")
    address = f"127.0.{room}.{number}"
    return Seat(door, info_hash, SIZE, address, name, rate * rng.uniform(0.9, 1.0), 0.93 * rate, rng=rng)


def first_room(door: Door, windows: bytes) -> list[Seat]:
    """Twenty-four PCs halfway; some need somebody."""
    seats = [seat(door, windows, 1, number, _GIGABIT, f"a1-pc{number:02}") for number in range(1, 25)]
    slow, silent, full, foreign = (seats[number - 1] for number in (SLOW, SILENT, FULL, FOREIGN))
    slow.rate, slow.gives, slow.facts = 11.6e6, 11e6, {"link": 100}
    full.rate, full.facts = 0.0, {"cache_free": 3 << 30}
    foreign.name = ""
    silent.done = 0.1 * SIZE
    return seats


def seats_of(door: Door, windows: bytes, linux: bytes) -> list[Seat]:
    seats = first_room(door, windows)
    seats += [seat(door, windows, 2, number, 2.2 * _GIGABIT, f"a2-pc{number:02}") for number in range(1, 19)]
    for number in range(1, 13):
        seats.append(seat(door, linux, 3, number, 1.4 * _GIGABIT, f"l3-pc{number:02}"))
    for info_hash in (windows, linux):
        seats.append(Seat(door, info_hash, SIZE, "127.0.0.1", "", 0.0, 1.1 * _GIGABIT, done=SIZE))
    return seats


async def keep_history(file: Path) -> None:
    """A term of deployments, every third day at half past seven."""
    history, rng = History(file), random.Random(5)
    today = time.time() // _DAY * _DAY + 7.5 * 3600
    for number in range(1, 25):
        began = today - number * 3 * _DAY
        room, image = rng.choice(list(ROOMS)), rng.choice((WINDOWS, LINUX))
        seats = [
            SeatRecord(
                f"pc{pc:02}", f"10.1.{ROOMS[room]}.{pc}", room, began + rng.uniform(0, 8),
                rng.uniform(340, 390), SeatState.DONE, 1.0, None,
            )
            for pc in range(1, rng.choice((13, 19, 25)))
        ]  # fmt: skip
        if number % 3 == 0:
            seats[3] = _record_of_trouble(seats[3], number)
        ended = max(seat.began + (seat.took or 0) for seat in seats)
        size = 39 * 10**9
        delivered = size * len(seats)
        deployment = Deployment(f"{number}", image, size, began, ended, int(1.03 * size), delivered)
        await history.save(DeploymentRecord(deployment, tuple(seats)), ended)
    history.close()


def _record_of_trouble(seat: SeatRecord, number: int) -> SeatRecord:
    if number % 2:
        slow = Trouble(TroubleKind.SLOW_PORT, 100.0)
        return SeatRecord(seat.name, seat.address, seat.room, seat.began, 3300.0, SeatState.DONE, 1.0, slow)
    lost = Trouble(TroubleKind.LOST, 30.0)
    return SeatRecord(seat.name, seat.address, seat.room, seat.began, None, SeatState.LOST, 0.62, lost)


async def take(browser: Browser, url: str, addresses: dict[str, str], theme: str) -> None:
    context = await browser.new_context(
        base_url=url,
        color_scheme="dark" if theme == "dark" else "light",
        locale="en-GB",
        viewport={"width": _WIDTH, "height": _HEIGHT},
    )
    for name, address in addresses.items():
        page = await context.new_page()
        await page.goto(address)
        await page.screenshot(path=HERE / f"page-{name}-{theme}.png")
        await page.close()
    await context.close()


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        await keep_history(top / "state.sqlite")
        images = top / "images"
        windows, linux = publish(images, [WINDOWS, LINUX], SIZE).info_hashes
        rooms = [f"--room={name}=127.0.{number}.0/24" for name, number in ROOMS.items()]
        command = [sys.executable, "-m", "tracker", str(images), "--listen=127.0.0.1:0", *rooms]
        server = await asyncio.create_subprocess_exec(
            *command, f"--state={top / 'state.sqlite'}", stdout=asyncio.subprocess.PIPE, cwd=HERE.parent
        )
        try:
            assert server.stdout is not None
            told = re.search(rb"http://127.0.0.1:([0-9]+)/", await server.stdout.readline())
            assert told is not None
            door = ("127.0.0.1", int(told[1]))
            await show(door, seats_of(door, windows, linux))
        finally:
            server.terminate()
            await server.wait()


async def show(door: Door, seats: Sequence[Seat]) -> None:
    """Let the rooms fill, and take their pictures."""
    full, silent = seats[FULL - 1], seats[SILENT - 1]
    running = [asyncio.create_task(one.run()) for one in seats if one is not full]
    try:
        await asyncio.sleep(WAIT / 2)
        silent.silent = True
        await full.fail(16, "the cache is full")
        await asyncio.sleep(WAIT / 2)
        addresses = {
            "overview": "/",
            "room": f"/rooms/{quote('Aula 1')}",
            "seat": f"/seats/127.0.1.{SLOW}",
            "swarm": f"/swarms/{WINDOWS}",
            "history": "/history",
        }
        async with async_playwright() as playwright:
            arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
            browser = await playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=arguments
            )
            for theme in ("light", "dark"):
                await take(browser, f"http://{door[0]}:{door[1]}", addresses, theme)
            await browser.close()
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)


if __name__ == "__main__":
    asyncio.run(main())
