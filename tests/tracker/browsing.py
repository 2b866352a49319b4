"""A tracker as a process of its own, and Debian's chromium that looks at its page."""

import asyncio
import re
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

CHROMIUM = "chromium"
# Nothing is to be asked of anybody but the tracker, and no name can be: there are none.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE 10.*",
)
_PATIENCE = 10.0  # seconds


@asynccontextmanager
async def chromium(program: Path | None = None) -> AsyncIterator[Browser]:
    """A browser, or the one that a program starts; the test is skipped where there is none."""
    path = program or shutil.which(CHROMIUM)
    if path is None:
        pytest.skip(f"{CHROMIUM} is missing: apt-get install {CHROMIUM}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        await browser.close()


@dataclass
class Site:
    """`python -m tracker` over a folder, on the same port each time it is started."""

    folder: Path
    address: str = "127.0.0.1"
    port: int = 0
    _process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    async def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "tracker",
            str(self.folder),
            "--listen",
            f"{self.address}:{self.port}",
        ]
        self._process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert self._process.stdout is not None
        async with asyncio.timeout(_PATIENCE):
            told = (await self._process.stdout.readline()).decode()
        found = re.search(r":([0-9]+)/$", told.strip())
        assert found is not None, told
        self.port = int(found[1])

    async def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            async with asyncio.timeout(_PATIENCE):
                assert await self._process.wait() == 0
            self._process = None

    async def swarms(self) -> list[dict[str, Any]]:
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/api/v1/swarms") as reply:
            told: list[dict[str, Any]] = (await reply.json())["swarms"]
            return told


@dataclass
class Guard:
    """What a page may not do: fail, break its policy, ask anybody else for anything."""

    url: str
    faults: list[str] = field(default_factory=list)
    # Of what the test itself brings about, such as a server that is gone.
    expected: str = r"$."

    def on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(message.text)

    def on_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", "data:")):
            self.faults.append(f"asked for {request.url}")

    def check(self) -> None:
        unexpected = [fault for fault in self.faults if not re.search(self.expected, fault)]
        assert unexpected == [], "\n".join(unexpected)


@asynccontextmanager
async def watching(browser: Browser, url: str, **settings: Any) -> AsyncIterator[tuple[Page, Guard]]:
    """A tab whose faults are the test's."""
    context = await browser.new_context(base_url=url, **({"locale": "en-GB"} | settings))
    context.set_default_timeout(_PATIENCE * 1000)
    page, guard = await context.new_page(), Guard(url)
    page.on("console", guard.on_console)
    page.on("pageerror", lambda error: guard.faults.append(str(error)))
    page.on("request", guard.on_request)
    yield page, guard
    await context.close()
    guard.check()


async def live(page: Page) -> None:
    """Wait until the page hears of what happens."""
    await page.locator("html[data-connection=live]").wait_for(state="attached")


async def violations(page: Page) -> list[str]:
    """What axe-core finds."""
    found = (await Axe().run(page)).response["violations"]
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}" for one in found for node in one["nodes"]
    ]
