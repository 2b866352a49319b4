"""The page in a real browser, on a real tracker: it fills, speaks, comes back and is for everybody."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.tracker.browsing import Guard, Site, chromium, live, violations, watching
from tests.tracker.conftest import Clock, Room

pytestmark = [pytest.mark.room, pytest.mark.asyncio(loop_scope="module")]

Publish = Callable[..., bytes]
Tab = AbstractAsyncContextManager[tuple[Page, Guard]]

SIZE = 1_000_000
AWAY = "ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_EMPTY_RESPONSE|404"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path)
    await site.start()
    yield site
    await site.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def seats(site: Site) -> AsyncIterator[Room]:
    """Who announces and reports there: 127.0.0.2 and up are seats, 127.0.0.1 the repository."""
    nobody: Any = None
    async with aiohttp.ClientSession() as session, Room(site.port, Clock(), session, nobody) as room:
        yield room


async def room_page(site: Site) -> str:
    """Where the only room is shown."""
    (name,) = {seat["room"] for swarm in await site.swarms() for seat in swarm["seats"]}
    return f"/rooms/{name}"


def tile(page: Page, name: str) -> Any:
    return page.locator(".seats > li").filter(has=page.get_by_role("link", name=name, exact=True))


async def test_a_room_fills_before_its_eyes(
    browser: Browser, site: Site, seats: Room, publish: Publish
) -> None:
    image = publish("aula1/windows.img", size=SIZE)
    async with watching(browser, site.url) as (page, _):
        await page.goto("/")
        await live(page)
        await page.evaluate("window.loadedOnce = true")
        await seats.announce(image, seat=1, left=0)
        await seats.announce(image, seat=2, left=SIZE)
        await page.get_by_role("link", name="127.0.0").first.click()
        await live(page)
        await page.evaluate("window.loadedOnce = true")
        await expect(tile(page, "127.0.0.2")).to_contain_text("0 %")
        await seats.announce(image, seat=2, left=SIZE // 2, downloaded=SIZE // 2)
        await expect(tile(page, "127.0.0.2")).to_contain_text("50 %")
        await expect(tile(page, "127.0.0.2").locator("progress")).to_have_attribute("value", "50")
        await seats.announce(image, seat=3, left=SIZE)
        await expect(tile(page, "127.0.0.3")).to_contain_text("0 %")
        await seats.announce(image, seat=2, left=0, downloaded=SIZE, event="completed")
        await expect(tile(page, "127.0.0.2")).to_have_attribute("data-state", "done")
        assert await page.evaluate("window.loadedOnce")


async def test_what_a_seat_tells_of_itself_is_text_and_nothing_else(
    browser: Browser, site: Site, seats: Room, publish: Publish
) -> None:
    image = publish("aula1/windows.img", size=SIZE)
    name = "<img src=x onerror=alert(1)>"
    await seats.announce(image, seat=2, left=SIZE)
    async with watching(browser, site.url) as (page, _):
        await page.goto(await room_page(site))
        await live(page)
        assert (await seats.report(image, seat=2, name=name, done=300_000))[0] == 200
        await expect(tile(page, name)).to_be_visible()
        for error in ("no space", "<img src=y onerror=alert(2)> is full"):
            await seats.report(image, seat=2, name=name, doing="failed", error_code=14, error=error)
            await expect(page.locator(".needs")).to_contain_text(error)
        assert await page.locator("img").count() == 0


async def test_the_language_is_the_browsers_until_somebody_chooses(
    browser: Browser, site: Site, seats: Room, publish: Publish
) -> None:
    image = publish("aula1/windows.img", size=SIZE)
    await seats.announce(image, seat=2, left=SIZE)
    async with watching(browser, site.url, locale="es-ES") as (page, _):
        await page.goto(await room_page(site))
        await expect(page.locator("html")).to_have_attribute("lang", "es")
        await expect(page.get_by_role("link", name="Historial")).to_be_visible()
        await page.get_by_role("link", name="EN", exact=True).click()
        await expect(page.locator("html")).to_have_attribute("lang", "en")
        assert "?" not in page.url
        await live(page)
        # What comes live is of the same language.
        await seats.announce(image, seat=2, left=0, downloaded=SIZE, event="completed")
        await expect(tile(page, "127.0.0.2")).to_contain_text("ready")
        await page.goto("/history")
        await expect(page.locator("html")).to_have_attribute("lang", "en")


async def test_without_scripts_the_page_is_whole_and_comes_anew(
    browser: Browser, site: Site, seats: Room, publish: Publish
) -> None:
    image = publish("aula1/windows.img", size=SIZE)
    await seats.announce(image, seat=2, left=SIZE // 4)
    async with watching(browser, site.url, java_script_enabled=False) as (page, _):
        await page.goto(await room_page(site))
        await expect(tile(page, "127.0.0.2")).to_contain_text("75 %")
        await seats.announce(image, seat=2, left=0, event="completed")
        await expect(tile(page, "127.0.0.2")).to_contain_text("100 %", timeout=20_000)


async def test_the_page_is_back_in_step_after_the_server_was_away(
    browser: Browser, site: Site, seats: Room, publish: Publish
) -> None:
    image = publish("aula1/windows.img", size=SIZE)
    await seats.announce(image, seat=2, left=SIZE // 2)
    async with watching(browser, site.url) as (page, guard):
        guard.expected = AWAY
        await page.goto(await room_page(site))
        await live(page)
        await page.evaluate("window.loadedOnce = true")
        await site.stop()
        await expect(page.get_by_role("status")).to_be_visible()
        await expect(tile(page, "127.0.0.2")).to_contain_text("50 %")
        await site.start()
        await seats.announce(image, seat=2, left=SIZE // 4, downloaded=SIZE // 4)
        await expect(tile(page, "127.0.0.2")).to_contain_text("75 %", timeout=20_000)
        await expect(page.get_by_role("status")).to_be_hidden()
        await seats.announce(image, seat=2, left=0, downloaded=SIZE, event="completed")
        await expect(tile(page, "127.0.0.2")).to_contain_text("100 %")
        assert await page.evaluate("window.loadedOnce")


async def test_what_is_gone_says_so_and_comes_back(
    browser: Browser, site: Site, seats: Room, publish: Publish
) -> None:
    async with watching(browser, site.url) as (page, guard):
        guard.expected = "404"
        reply = await page.goto("/rooms/nowhere")
        assert reply is not None and reply.status == 404
        await page.goto("/swarms/aula1/windows.img")
        await expect(page.get_by_role("status")).to_be_hidden()
        image = publish("aula1/windows.img", size=SIZE)
        await seats.announce(image, seat=2, left=SIZE)
        await expect(tile(page, "127.0.0.2")).to_be_visible(timeout=20_000)


async def test_focus_and_what_is_open_outlast_a_new_shape(
    browser: Browser, site: Site, seats: Room, publish: Publish
) -> None:
    image = publish("aula1/windows.img", size=SIZE)
    for number in range(20):
        publish(f"aula2/image{number}.img")
    for seat in range(10, 60):
        await seats.announce(image, seat=seat, left=SIZE)
    # One that needs somebody is on the page twice.
    await seats.report(image, seat=40, name="", doing="failed", error_code=14, error="no space")
    async with watching(browser, site.url, viewport={"width": 360, "height": 500}) as (page, _):
        await page.goto(await room_page(site))
        await live(page)
        await expect(page.locator(".needs")).to_contain_text("127.0.0.40")
        chosen = tile(page, "127.0.0.40").get_by_role("link")
        await chosen.focus()
        await chosen.scroll_into_view_if_needed()
        scrolled = await page.evaluate("scrollY")
        assert scrolled > 0
        await seats.announce(image, seat=9, left=SIZE)
        await expect(tile(page, "127.0.0.9")).to_be_attached()
        await expect(chosen).to_be_focused()
        assert await page.evaluate("scrollY") == scrolled
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="127.0.0.41", exact=True)).to_be_focused()
        await page.keyboard.press("Shift+Tab")
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(f"{site.url}/seats/127.0.0.40")
        await page.goto("/")
        await live(page)
        summary = page.locator("#quiet > summary")
        await summary.focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#quiet")).to_have_attribute("open", "")
        publish("aula3/another.img")
        await expect(page.get_by_role("link", name="aula3/another.img")).to_be_visible()
        await expect(summary).to_be_focused()


async def test_who_does_not_look_is_told_nothing(
    browser: Browser, site: Site, seats: Room, publish: Publish
) -> None:
    image = publish("aula1/windows.img", size=SIZE)
    await seats.announce(image, seat=2, left=SIZE)

    def show(hidden: bool) -> str:
        return (
            f"Object.defineProperty(document, 'hidden', {{value: {int(hidden)}, configurable: true}});"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )

    async with watching(browser, site.url) as (page, guard):
        await page.goto(await room_page(site))
        await live(page)
        guard.expected = "ERR_ABORTED"
        await page.evaluate(show(hidden=True))
        await seats.announce(image, seat=2, left=SIZE // 2, downloaded=SIZE // 2)
        # Twice as long as it takes a page that is seen.
        await asyncio.sleep(2)
        await expect(tile(page, "127.0.0.2")).not_to_contain_text("50 %")
        await page.evaluate(show(hidden=False))
        await expect(tile(page, "127.0.0.2")).to_contain_text("50 %")


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_the_pages_are_for_everybody(
    browser: Browser, site: Site, seats: Room, publish: Publish, theme: str
) -> None:
    image = publish("aula1/windows.img", size=SIZE)
    publish("aula2/idle.img")
    await seats.announce(image, seat=1, left=0, uploaded=SIZE)
    for seat in (2, 3, 4):
        await seats.announce(image, seat=seat, left=SIZE)
    await seats.report(image, seat=2, done=SIZE // 2, link=100, download_rate=1_000_000)
    await seats.report(image, seat=3, doing="failed", done=7, error_code=14, error="no space")
    await seats.announce(image, seat=4, left=0, downloaded=SIZE, event="completed")
    addresses = ["/", await room_page(site), "/seats/127.0.0.2", "/swarms/aula1/windows.img"]
    async with watching(browser, site.url, color_scheme=theme) as (page, guard):
        guard.expected = "404"
        for address in (*addresses, "/history", "/rooms/nowhere"):
            await page.goto(address)
            assert (address, await violations(page)) == (address, [])
            # Nothing hangs over the edge of a phone.
            await page.set_viewport_size({"width": 360, "height": 640})
            assert await page.evaluate("document.documentElement.scrollWidth") <= 360, address
            await page.set_viewport_size({"width": 1280, "height": 720})
