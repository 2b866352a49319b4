"""The page while a real room fills, in a browser on a PC of that room."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from benchmarks.port import inside
from benchmarks.room import Host, Room
from tests.tracker.browsing import CHROMIUM, chromium, live, watching

from .laboratory import MEBIBYTE, TRACKER_PORT, Repository, Seat, skip_without_room, write_random

pytestmark = pytest.mark.room

IMAGE = "aula1/windows.img"
# Milliseconds. A killed seat is lost after three intervals, a slow one is judged after ten seconds of ten.
PATIENCE = 60_000


@pytest.fixture(autouse=True)
def possible() -> None:
    skip_without_room(curl="curl", chromium=CHROMIUM)


def browser_on(host: Host, folder: Path) -> Path:
    """A program that starts the browser on that PC."""
    program = folder / "browser"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(inside(host.namespace))} {CHROMIUM} "$@"\n')
    program.chmod(0o755)
    return program


def tile(page: Page, seat: Seat) -> Locator:
    link = page.locator(f'a[href="/seats/{seat.host.address}"]')
    return page.locator(".seats > li").filter(has=link)


async def test_a_room_fills_before_its_eyes_and_it_says_who_needs_somebody(tmp_path: Path) -> None:
    with Room(seats=6, rate=40) as room:
        repository = Repository(room.repository, tmp_path / "repository")
        write_random(repository.images / IMAGE, 40 * MEBIBYTE, seed=1)
        await asyncio.to_thread(repository.serve)
        await asyncio.to_thread(repository.until_ready, IMAGE)
        *hosts, onlooker = room.seats
        seats = [Seat.make(host, tmp_path) for host in hosts]
        slow, killed = seats[3], seats[4]
        slow.host.set_rate(10)
        url = f"http://{room.repository.address}:{TRACKER_PORT}"
        async with (
            chromium(browser_on(onlooker, tmp_path)) as browser,
            watching(browser, url) as (page, _),
        ):
            await page.goto(f"/swarms/{IMAGE}")
            await live(page)
            await page.evaluate("window.loadedOnce = true")
            updates = [await asyncio.to_thread(seat.update, repository, IMAGE) for seat in seats]
            for seat in seats:
                await expect(tile(page, seat)).to_be_visible()
            while not updates[4].has_begun(0.2):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            killed.host.crash()
            for seat in seats[:3]:
                await expect(tile(page, seat)).to_have_attribute("data-state", "done", timeout=PATIENCE)
            await expect(tile(page, killed)).to_have_attribute("data-state", "lost", timeout=PATIENCE)
            needs = page.locator(".needs")
            of_killed = needs.locator("li").filter(
                has=page.locator(f'a[href="/seats/{killed.host.address}"]')
            )
            await expect(of_killed).to_contain_text(re.compile(r"Lost at \d+ %: no word from it"))
            of_slow = needs.locator("li").filter(has=page.locator(f'a[href="/seats/{slow.host.address}"]'))
            await expect(of_slow).to_contain_text("10 Mbit/s", timeout=PATIENCE)
            await expect(tile(page, slow)).to_have_attribute("data-state", "done", timeout=PATIENCE)
            assert await page.evaluate("window.loadedOnce")
