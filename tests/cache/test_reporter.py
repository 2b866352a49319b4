"""A seat tells the server how its fill goes; a server that does not listen changes nothing for the fill."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import gethostname

import aiohttp
import pytest
from aiohttp import web
from machines import Seat, Server, image, published, until

from tracker.classroom import report
from tracker.classroom.report import Doing, Report

pytestmark = pytest.mark.room

MIB = 2**20
SLOW = 2 * MIB  # bytes a second of a server that is to be met in the middle of a download
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Seats = Callable[..., Seat]


async def taken(_: web.Request) -> web.StreamResponse:
    return web.json_response({"next": 0.1})  # sooner than a seat reports


async def never(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    raise AssertionError


def answering(status: int, text: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text)

    return answer


class Desk:
    """Stands before a server, and takes the reports itself."""

    def __init__(self, server: Server, answer: Answer) -> None:
        self._server, self._answer = server, answer
        self.reports: list[tuple[str, Report]] = []  # and from where
        self.connections: set[object] = set()
        self.address = ""

    def of(self, seat: Seat) -> list[Report]:
        return [told for address, told in self.reports if address == seat.address]

    async def open(self) -> web.AppRunner:
        application = web.Application()
        application.router.add_post("/api/v1/reports", self._take)
        application.router.add_get("/announce", self._send_on)
        application.router.add_get("/{path:.*}", self._fetch)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.address = f"127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.connections.add(request.transport)
        self.reports.append((str(request.remote), report.parse(await request.read())))
        return await self._answer(request)

    async def _send_on(self, request: web.Request) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect(f"http://{self._server.address}{request.raw_path}")

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        url = f"http://{self._server.address}{request.raw_path}"
        async with aiohttp.ClientSession() as client, client.get(url) as answer:
            return web.Response(status=answer.status, body=await answer.read())


@contextmanager
def desk(server: Server, answer: Answer) -> Iterator[Desk]:
    opened, loop = Desk(server, answer), asyncio.new_event_loop()
    runner = loop.run_until_complete(opened.open())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield opened
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(runner.cleanup())
        loop.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server behind a slow line: a small image, and one that takes three seconds."""
    home = tmp_path_factory.mktemp("server")
    published(home / "images" / "small.img", home / "images", MIB)
    published(home / "images" / "large.img", home / "images", 3 * SLOW)
    server = Server(home, home / "images", line=SLOW)
    yield server
    assert server.end() == 0


def test_a_seat_that_is_done_says_so_and_who_it_is(server: Server, seat: Seats) -> None:
    with desk(server, answering(200, '{"next": 60}')) as there:  # the end does not wait for that
        pc, other = seat(), seat()
        assert pc.update(there.address, "small.img", "--name", "aula1-pc07").code == 0
        assert other.update(there.address, "small.img").code == 0
        first, *_, last = until(lambda: told if (told := there.of(pc))[-1].doing is Doing.DONE else None)
        until(lambda: there.of(other)[-1].doing is Doing.DONE)
    assert first.doing is Doing.CHECKING and (first.done, last.done) == (0, MIB)
    assert (last.name, there.of(other)[0].name) == ("aula1-pc07", gethostname().partition(".")[0])
    assert last.port == 6881 and last.link is None  # loopback
    assert last.cache_free is not None and 0 < last.cache_free <= (last.cache_size or 0)
    assert last.error_code is None and last.error == ""


@pytest.mark.room
def test_a_seat_that_fills_tells_what_it_sees(server: Server, seat: Seats) -> None:
    with desk(server, taken) as there:
        pc = seat()
        assert pc.update(there.address, "large.img").code == 0
        filling = [told for told in there.of(pc) if told.doing is Doing.FILLING]
        until(lambda: there.of(pc)[-1].doing is Doing.DONE)
        assert len(there.of(pc)) <= 7  # one a second, though the server wants more
        assert len(there.connections) == 1
    assert [told.done for told in filling] == sorted({told.done for told in filling}) and len(filling) > 1
    last = filling[-1]
    assert 0 < last.done < 3 * SLOW and last.download_rate > SLOW / 4
    assert (
        last.peers == 1 and last.neighbours[0].address == "127.0.0.1" and last.neighbours[0].down > SLOW / 4
    )
    assert 1 < len(last.availability) <= 48 and set(last.availability) == {1}
    assert last.disk_rate is not None and last.disk_waits is not None
    assert last.reachable is False


@pytest.mark.room
def test_a_seat_to_which_another_has_connected_is_reachable(server: Server, seat: Seats) -> None:
    with desk(server, taken) as there:
        first, second = seat(), seat()
        filling = first.start(there.address, "large.img")
        filling.until_bytes_come()
        assert second.update(there.address, "large.img").code == 0
        assert filling.end().code == 0
        until(lambda: there.of(first)[-1].doing is Doing.DONE)
    assert any(told.reachable for told in there.of(first))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (answering(404, "404: Not Found"), "HTTP 404"),
        (answering(403, '{"error": "not from here\\u001b[2J"}'), "HTTP 403: not from here[2J"),
        (answering(200, "<html>"), "what it answers is none"),
        (answering(200, '{"next": true}'), "what it answers is none"),
        (answering(200, "x" * 100_000), "what it answers is none"),
    ],
)
def test_a_server_that_does_not_take_reports_is_named_once_in_the_log(
    server: Server, seat: Seats, answer: Answer, said: str
) -> None:
    with desk(server, answer) as there:
        pc = seat()
        assert pc.update(there.address, "small.img").code == 0
        until(lambda: len(there.of(pc)) > 1)
        assert pc.log.count("hears no reports") == 1
        assert f"{there.address} hears no reports: {said}\n" in pc.log


def test_a_server_that_never_answers_a_report_holds_up_nothing(server: Server, seat: Seats) -> None:
    with desk(server, never) as there:
        pc = seat()
        assert pc.update(there.address, "small.img").done.seconds < 5  # which an answer may take
        assert len(there.of(pc)) == 1
        pc.stop()
        assert pc.seeder() is None


def test_a_fill_that_fails_before_anything_came_says_why(server: Server, seat: Seats, tmp_path: Path) -> None:
    pc = seat()
    (pc.cache / "images").symlink_to(tmp_path)
    with desk(server, taken) as there:
        update = pc.update(there.address, "small.img")
        until(lambda: pc.seeder() is None)
    last = there.of(pc)[-1]
    assert last.doing is Doing.FAILED and last.error_code == update.code == 14
    assert update.said == f"ogtorrent: {last.error}\n"


@pytest.mark.room
def test_a_failure_is_told_again_until_a_server_hears_it(server: Server, seat: Seats, tmp_path: Path) -> None:
    tries: list[int] = []

    async def at_last(request: web.Request) -> web.StreamResponse:
        tries.append(1)
        if len(tries) < 3 and request.transport is not None:
            request.transport.close()
        return await taken(request)

    pc = seat()
    (pc.cache / "images").symlink_to(tmp_path)
    with desk(server, at_last) as there:
        assert pc.update(there.address, "small.img").code == 14
        until(lambda: pc.seeder() is None)
    assert there.of(pc)[-1].doing is Doing.FAILED and len(tries) == 3


@pytest.mark.room
@pytest.mark.root
def test_a_full_cache_is_reported(server: Server, seat: Seats, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", tmp_path / "disk"], check=True)
    try:
        pc = seat(tmp_path / "disk")
        with desk(server, taken) as there:
            assert pc.update(there.address, "large.img").code == 16
            until(lambda: [told for told in there.of(pc) if told.doing is Doing.FAILED])
            last = there.of(pc)[-1]
        assert last.error_code == 16 and "too small" in last.error
        assert last.cache_size == 4 * MIB and last.cache_free is not None and last.cache_free < 4 * MIB
    finally:
        subprocess.run(["umount", "--lazy", tmp_path / "disk"], check=True)


@pytest.mark.room
def test_what_is_refused_because_another_version_is_filling_is_reported(
    server: Server, serve: Callable[..., Server], seat: Seats, tmp_path: Path
) -> None:
    there = image(tmp_path / "images" / "large.img", MIB, seed=1)
    other, pc = serve(there.parent), seat()
    second = other.ready("large.img")
    filling = pc.start(server.address, "large.img")
    filling.until_bytes_come()
    with desk(other, taken) as newer:
        assert pc.update(newer.address, "large.img").code == 4
        last = until(lambda: told[-1] if (told := newer.of(pc)) else None)
    assert (last.info_hash, last.doing, last.error_code) == (second.info_hash, Doing.FAILED, 4)
    assert filling.end().code == 0
