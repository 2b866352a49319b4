"""Every page in a real browser, as people with other eyes, screens and settings see it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Route

from tests.tracker import pictures
from tests.tracker.browsing import chromium
from tracker.look import page, views
from tracker.look.view import View
from tracker.words import Words

pytestmark = pytest.mark.room


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


def every_page(words: Words) -> dict[str, View | None]:
    room, hostile = pictures.room_of_24(), pictures.hostile()
    return {
        "overview": views.overview(room, words),
        "overview, listed": views.overview(pictures.listed(), words),
        "overview of none": views.overview(pictures.empty(), words),
        "overview, hostile": views.overview(hostile, words),
        "room": views.room(room, "aula1", words),
        "room, listed": views.room(pictures.listed(), "aula1", words),
        "room, nobody there": views.room(pictures.listed(), "seminar", words),
        "room, hostile": views.room(hostile, "aula1", words),
        "seat": views.seat(room, "10.1.1.7", words),
        "foreign seat": views.seat(room, "10.1.1.22", words),
        "seat, hostile": views.seat(hostile, "10.1.1.4", words),
        "swarm": views.swarm(room, "aula1/windows.img", words),
        "quiet swarm": views.swarm(room, "aula2/linux.img", words),
        "swarm, hostile": views.swarm(hostile, pictures.SCRIPT, words),
        "history": views.history(pictures.summaries(), words),
        "history of nothing": views.history((), words),
        "deployment": views.deployment(pictures.records(1)[0], words),
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("es", 360)])
async def test_nothing_is_wrong_for_axe_nothing_is_cut_off_and_the_policy_forbids_nothing(
    browser: Browser, language: str, width: int, scheme: Any
) -> None:
    words = page.words_in(language)
    shown = await browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    forbidden: list[str] = []
    shown.on("console", lambda said: forbidden.append(said.text) if "Content Security" in said.text else None)
    html = ""

    async def answer(route: Route) -> None:
        # There is no server: the page's script goes on trying to reach one.
        if "event-stream" in route.request.headers.get("accept", ""):
            await route.abort()
        else:
            await route.fulfill(body=html, content_type="text/html; charset=utf-8", headers=page.HEADERS)

    await shown.route("**/*", answer)
    for name, view in every_page(words).items():
        assert view is not None, name
        html = page.render(view, words)
        await shown.goto("http://page.test/")
        await shown.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        found = await Axe().run(shown)
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"
        assert await shown.evaluate("document.documentElement.scrollWidth") <= width, name
        assert await shown.evaluate("getComputedStyle(document.body).margin") != "8px", name
        assert forbidden == [], name
