"""Live events: what a viewer is told, when, and what it may cost the others."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from tracker.classroom.snapshot import Snapshot
from tracker.http.connections import Connections, Runner
from tracker.look.live import CrowdedError, Live, change
from tracker.look.view import View
from tracker.swarm.store import StoreDownError

Cells = dict[str, dict[str, str]]
Until = Callable[..., Awaitable[None]]

PACE = 0.01


def view(cells: Cells, shape: tuple[object, ...] = ("a",)) -> View:
    return View("page.html", "a room", shape, cells, {})


@dataclass
class Viewer:
    """What a browser has of a page: it takes what it is told."""

    reply: aiohttp.ClientResponse
    cells: Cells = field(default_factory=dict)
    shape: str = ""
    told: list[str] = field(default_factory=list)

    async def next(self) -> str:
        """Take the next event; its name. EOFError at a clean end."""
        lines: dict[str, str] = {}
        async with asyncio.timeout(10):
            async for line in self.reply.content:
                if line == b"\r\n" and "data" in lines:
                    self.take(lines["event"], json.loads(lines["data"]))
                    return lines["event"]
                name, _, value = line.decode().rstrip("\r\n").partition(": ")
                lines[name] = value
        raise EOFError

    def take(self, event: str, told: dict[str, Any]) -> None:
        self.told.append(event)
        if event == "whole":
            self.cells = {}
        self.shape = told.get("shape", self.shape)
        for name, cell in told.get("cells", {}).items():
            self.cells.setdefault(name, {}).update(cell)

    async def until(self, cells: Cells) -> None:
        while self.cells != cells:
            await self.next()


@dataclass
class Stage:
    """A server whose one page the test writes."""

    shown: View | None
    live: Live = field(init=False)
    port: int = 0
    pictures: int = 0
    views: int = 0
    fault: Exception | None = None
    runner: Runner = field(init=False)
    session: aiohttp.ClientSession = field(init=False)

    async def picture(self) -> Snapshot:
        return Snapshot(at=0.0, interval=5, swarms=())

    async def next_picture(self) -> Snapshot:
        await asyncio.sleep(PACE)
        self.pictures += 1
        if self.fault is not None:
            raise self.fault
        return await self.picture()

    def make(self, snapshot: Snapshot) -> View | None:
        self.views += 1
        return self.shown

    async def answer(self, request: web.Request) -> web.StreamResponse:
        try:
            response = await self.live.stream(request, "page", self.make, {"Vary": "Accept"})
        except CrowdedError as error:
            return web.Response(status=503, text=str(error))
        return response or web.Response(status=404)

    @asynccontextmanager
    async def viewer(self) -> AsyncIterator[Viewer]:
        async with self.session.get(f"http://127.0.0.1:{self.port}/") as reply:
            yield Viewer(reply)

    async def ticks(self, count: int, until: Until) -> None:
        """Let so many moments pass."""
        wanted = self.pictures + count

        async def passed() -> bool:
            return self.pictures >= wanted

        await until(passed)


Open = Callable[..., Awaitable[Stage]]


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    stages: list[Stage] = []

    async def open_stage(shown: View | None, connections: Connections | None = None, **bounds: Any) -> Stage:
        stage = Stage(shown)
        stage.live = Live(stage.picture, stage.next_picture, **bounds)
        app = web.Application()
        app.router.add_get("/", stage.answer)
        app.on_shutdown.append(stage.live.close)
        # A stream that did not end by itself would keep the cleanup for a minute.
        stage.runner = Runner(app, connections=connections, access_log=None, shutdown_timeout=60)
        await stage.runner.setup()
        listener = socket.create_server(("127.0.0.1", 0))
        stage.port = listener.getsockname()[1]
        await stage.runner.serve(listener)
        stage.session = aiohttp.ClientSession()
        stages.append(stage)
        return stage

    yield open_stage
    for stage in stages:
        await stage.session.close()
        async with asyncio.timeout(10):
            await stage.runner.cleanup()


async def test_a_viewer_is_told_the_whole_and_then_what_changes(opened: Open, until: Until) -> None:
    stage = await opened(view({"pc1": {"text": "1 %", "bar@value": "0.01"}, "pc2": {"text": "7 %"}}))
    async with stage.viewer() as viewer:
        assert viewer.reply.headers["Content-Type"] == "text/event-stream"
        assert viewer.reply.headers["Vary"] == "Accept"
        assert await viewer.next() == "whole"
        assert stage.shown is not None
        assert (viewer.cells, viewer.shape) == (stage.shown.cells, stage.shown.stamp)
        viewer.cells = {}
        # Moments in which nothing changes are passed over.
        await stage.ticks(3, until)
        stage.shown = view({"pc1": {"text": "2 %", "bar@value": "0.01"}, "pc2": {"text": "7 %"}})
        assert await viewer.next() == "change"
        assert viewer.cells == {"pc1": {"text": "2 %"}}


async def test_after_a_new_shape_what_changes_is_told_against_it(opened: Open) -> None:
    stage = await opened(view({"pc1": {"text": "1 %"}}))
    async with stage.viewer() as viewer:
        await viewer.next()
        stage.shown = view({"pc1": {"text": "1 %"}, "pc2": {"text": "5 %"}}, shape=("a", "b"))
        assert await viewer.next() == "reshape"
        assert (viewer.shape, viewer.cells) == (stage.shown.stamp, {"pc1": {"text": "1 %"}})
        stage.shown = view({"pc1": {"text": "1 %"}, "pc2": {"text": "6 %"}}, shape=("a", "b"))
        assert await viewer.next() == "change"
        assert viewer.cells["pc2"] == {"text": "6 %"}


async def test_a_view_is_made_once_a_moment_however_many_watch(opened: Open, until: Until) -> None:
    stage = await opened(view({"pc1": {"text": "1 %"}}))
    async with stage.viewer() as first, stage.viewer() as second, stage.viewer() as third:
        for viewer in (first, second, third):
            await viewer.next()
        before = stage.pictures, stage.views
        await stage.ticks(5, until)
        assert stage.views - before[1] == stage.pictures - before[0]
        # A page that is asked for meanwhile is the one that they see.
        assert await stage.live.view("page", stage.make) is stage.shown
        assert stage.views - before[1] == stage.pictures - before[0]
        stage.shown = view({"pc1": {"text": "2 %"}})
        for viewer in (first, second, third):
            await viewer.until({"pc1": {"text": "2 %"}})


async def test_nothing_is_made_where_nobody_watches(opened: Open, until: Until) -> None:
    stage = await opened(view({}))
    async with stage.viewer() as viewer:
        await viewer.next()

    async def forgotten() -> bool:
        return stage.live.viewers == 0

    # Nothing changes on the page: it is the end of the connection that tells.
    await until(forgotten)
    before = stage.pictures
    await asyncio.sleep(10 * PACE)
    assert stage.pictures == before
    async with stage.viewer() as viewer:
        await viewer.next()
        await stage.ticks(2, until)


@pytest.mark.room
async def test_who_reads_nothing_holds_up_nobody_and_is_told_the_newest_later(
    opened: Open, until: Until
) -> None:
    def moment(number: int) -> View:
        return view({f"pc{seat}": {"text": f"{number} " + 200 * "x"} for seat in range(100)})

    stage = await opened(moment(0))
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", stage.port))
        await loop.sock_sendall(sock, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        async with stage.viewer() as quick:
            for number in range(1, 200):
                stage.shown = moment(number)
                await quick.until(dict(stage.shown.cells))
        assert stage.shown is not None
        read = bytearray()
        while b'"pc99":{"text":"199 ' not in read:
            async with asyncio.timeout(10):
                read += await loop.sock_recv(sock, 1 << 20)
    assert len(read) < 40 * 20_000  # of 200 moments


async def test_who_takes_nothing_for_long_is_cut_off(opened: Open, until: Until) -> None:
    number = 0

    def moments(snapshot: Snapshot) -> View:
        nonlocal number
        number += 1
        return view({"pc1": {"text": f"{number} " + 50_000 * "x"}})

    stage = await opened(view({}), connections=Connections(within=0.3))
    stage.make = moments  # type: ignore[method-assign]
    with socket.create_connection(("127.0.0.1", stage.port)) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

        async def watches() -> bool:
            return stage.live.viewers == 1

        await until(watches)
        async with stage.viewer() as reads:
            # Thrice the time in which the other is cut off.
            async with asyncio.timeout(10):
                while stage.live.viewers == 2:
                    await reads.next()
            for _ in range(50):
                await reads.next()


async def test_more_than_so_many_are_sent_away(opened: Open) -> None:
    stage = await opened(view({}), most=2)
    async with stage.viewer() as first, stage.viewer() as second, stage.viewer() as third:
        assert [viewer.reply.status for viewer in (first, second, third)] == [200, 200, 503]
        assert "2 pages are watched live already" in await third.reply.text()


async def test_a_page_that_is_not_there_has_no_events(opened: Open) -> None:
    stage = await opened(None)
    async with stage.viewer() as viewer:
        assert viewer.reply.status == 404
    assert stage.live.viewers == 0


async def test_a_page_that_is_gone_sends_its_viewers_there_once_more(opened: Open) -> None:
    stage = await opened(view({}))
    async with stage.viewer() as viewer:
        await viewer.next()
        stage.shown = None
        assert (await viewer.next(), viewer.shape) == ("reshape", "")
        with pytest.raises(EOFError):
            await viewer.next()


@pytest.mark.parametrize("fault", [StoreDownError("no store"), RuntimeError("secret")])
async def test_a_fault_ends_the_streams_and_is_told_to_the_log_alone(
    opened: Open, caplog: pytest.LogCaptureFixture, fault: Exception
) -> None:
    stage = await opened(view({}))
    async with stage.viewer() as viewer:
        await viewer.next()
        stage.fault = fault
        with pytest.raises(EOFError):
            await viewer.next()
    logged = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(logged) == isinstance(fault, RuntimeError)
    stage.fault = None
    async with stage.viewer() as viewer:
        assert await viewer.next() == "whole"


async def test_streams_end_with_the_server(opened: Open) -> None:
    stage = await opened(view({}))
    async with stage.viewer() as viewer:
        await viewer.next()
        async with asyncio.timeout(10):
            await stage.runner.cleanup()
        with pytest.raises(EOFError):
            await viewer.next()


texts = st.sampled_from(["", "0 %", "1 %", "é\u2028\r\n\0<b>"])
pages = st.builds(
    view,
    st.fixed_dictionaries(
        {name: st.fixed_dictionaries({"text": texts, "@data-state": texts}) for name in ("a", "b", "c")}
    ),
    st.sampled_from([("x",), ("y",)]),
)


@given(st.lists(pages, min_size=1, max_size=5))
def test_what_is_told_adds_up_to_the_newest_view(views: list[View]) -> None:
    viewer = Viewer(reply=None)  # type: ignore[arg-type]
    for known, shown in zip([None, *views], views, strict=False):
        message = change(known, shown)
        if message is not None:
            viewer.take(message.event, json.loads(message.data))
            if message.event == "reshape":  # then the page is fetched
                viewer.cells = json.loads(json.dumps(shown.cells))
        assert (viewer.cells, viewer.shape) == (shown.cells, shown.stamp)
