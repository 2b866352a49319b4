"""The HTTP front end: announce, scrape, page and API as routes of an aiohttp application."""

import asyncio
import functools
import json
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from tracker import page, response, snapshot
from tracker.allowlist import AllowList
from tracker.handout import IPAddress
from tracker.request import BadRequestError, parse_announce, parse_scrape
from tracker.swarm import Answer, Source, Swarms

log = logging.getLogger(__name__)

# Seconds between two looks for seats that have fallen silent.
_EXPIRY_PAUSE = 1.0
_RETRY_MINUTES = 1

Handler = Callable[[web.Request], Awaitable[web.Response]]


class RefusalError(Exception):
    """A well-formed request that the tracker does not serve; the text is for the client's user."""


@dataclass(frozen=True, slots=True)
class Tracker:
    """What the routes work on."""

    allow_list: AllowList
    swarms: Swarms
    clock: Callable[[], float]

    def picture(self) -> snapshot.Snapshot:
        self.clear_out()
        return snapshot.take(self.allow_list.published, self.swarms, self.clock())

    def clear_out(self) -> None:
        """Forget what is no longer published and who has fallen silent."""
        names = {entry.swarm_id: entry.name for entry in self.allow_list.published}
        self.swarms.keep_only(names)
        for swarm_id, peer in self.swarms.expire(self.clock()):
            silence = self.clock() - peer.seen
            log.info("%r: %s:%d lost, silent for %.0f s", names[swarm_id], peer.address, peer.port, silence)


TRACKER = web.AppKey("tracker", Tracker)


def attach(
    app: web.Application,
    folder: Path,
    *,
    clock: Callable[[], float] = time.monotonic,
    rng: random.Random | None = None,
) -> None:
    """Make `app` the tracker of the `.torrent` files below `folder`.

    Adds the routes `/announce`, `/scrape`, `/`, `/health` and `/api/v1/swarms`. When the application has
    started (`AppRunner.setup` has returned) the folder has been read and every torrent in it is served;
    a folder that cannot be read raises OSError there. `clock` counts seconds and never goes back.
    """
    tracker = Tracker(AllowList(folder), Swarms(rng or random.Random()), clock)
    app[TRACKER] = tracker
    app.cleanup_ctx.append(_watching)
    app.cleanup_ctx.append(_expiring)
    app.router.add_get("/announce", _bencoded(_announce))
    app.router.add_get("/scrape", _bencoded(_scrape))
    app.router.add_get("/", _masked(_page))
    app.router.add_get("/health", _masked(_health))
    logging.getLogger("aiohttp.server").addFilter(_without_mistakes_of_others)
    app.router.add_get("/api/v1/swarms", _masked(_api))


async def _watching(app: web.Application) -> AsyncIterator[None]:
    allow_list = app[TRACKER].allow_list
    watcher = asyncio.create_task(allow_list.watch())
    # The watch begins in the task's first step. Only a scan after that sees what the watch does not.
    await asyncio.sleep(0)
    try:
        await allow_list.rescan()
        yield
    finally:
        await _cancel(watcher)
        await allow_list.close()


async def _expiring(app: web.Application) -> AsyncIterator[None]:
    expiry = asyncio.create_task(_expire_forever(app[TRACKER]))
    yield
    await _cancel(expiry)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _expire_forever(tracker: Tracker) -> None:
    while True:
        try:
            tracker.clear_out()
        except Exception:
            log.exception("internal error while seats expire")
        await asyncio.sleep(_EXPIRY_PAUSE)


async def _announce(tracker: Tracker, request: web.Request) -> bytes:
    announce = parse_announce(_query(request))
    source = _source(request)
    published = await tracker.allow_list.find_or_rescan(announce.info_hash)
    if published is None:
        raise RefusalError(f"torrent {announce.info_hash.hex()} is not published here")
    answer = tracker.swarms.announce(published.swarm_id, announce, source, tracker.clock())
    _tell(published.name, source, announce.port, answer)
    return response.announce_reply(answer, compact=announce.compact, no_peer_id=announce.no_peer_id)


async def _scrape(tracker: Tracker, request: web.Request) -> bytes:
    wanted = parse_scrape(_query(request)).info_hashes
    if not wanted:
        wanted = tuple(entry.swarm_id for entry in tracker.allow_list.published)
    # An unknown hash has no entry in the reply (BEP 48), and no client waits for a rescan.
    found = {info_hash: tracker.allow_list.find(info_hash) for info_hash in wanted}
    tallies = {
        info_hash: tracker.swarms.tally(entry.swarm_id)
        for info_hash, entry in found.items()
        if entry is not None
    }
    return response.scrape_reply(tallies, tracker.swarms.interval)


async def _page(request: web.Request) -> web.Response:
    html = page.render(request.app[TRACKER].picture())
    return web.Response(text=html, content_type="text/html", headers=page.HEADERS)


async def _api(request: web.Request) -> web.Response:
    body = json.dumps(snapshot.as_json(request.app[TRACKER].picture()))
    return web.Response(text=body, content_type="application/json", headers={"Cache-Control": "no-store"})


async def _health(request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


def _tell(name: str, source: Source, port: int, answer: Answer) -> None:
    if answer.news is not None:
        tally = answer.tally
        log.info(
            "%r: %s:%d %s, %d done and %d filling",
            name,
            source.address,
            port,
            answer.news.value,
            tally.complete,
            tally.incomplete,
        )


def _bencoded(answer: Callable[[Tracker, web.Request], Awaitable[bytes]]) -> Handler:
    """Clients read a reason only from a bencoded 200; a fault of ours is logged and not shown to them."""

    @functools.wraps(answer)
    async def handler(request: web.Request) -> web.Response:
        try:
            body = await answer(request.app[TRACKER], request)
        except BadRequestError as error:
            log.info("refused %s from %s: %s", request.path, request.remote, error)
            body = response.failure(str(error))
        except RefusalError as error:
            log.info("refused %s from %s: %s", request.path, request.remote, error)
            body = response.failure(str(error), retry_minutes=_RETRY_MINUTES)
        except Exception:
            log.exception("internal error at %s", request.path)
            body = response.failure("internal error", retry_minutes=_RETRY_MINUTES)
        return web.Response(body=body, content_type="text/plain")

    return handler


def _masked(answer: Handler) -> Handler:
    @functools.wraps(answer)
    async def handler(request: web.Request) -> web.Response:
        try:
            return await answer(request)
        except Exception:
            log.exception("internal error at %s", request.path)
            return web.Response(status=500, text="internal error\n")

    return handler


def _without_mistakes_of_others(record: logging.LogRecord) -> bool:
    """Make one line of what is no HTTP: aiohttp answers it with 400, and logs a traceback as for a fault."""
    mistake = record.exc_info[1] if record.exc_info else None
    if not isinstance(mistake, HttpProcessingError):
        return True
    log.info("refused %r", record.getMessage())
    return False


def _query(request: web.Request) -> bytes:
    # The target as it came over the wire: rel_url has been through a parser of text.
    return request.raw_path.partition("?")[2].encode(errors="surrogateescape")


def _source(request: web.Request) -> Source:
    transport = request.transport
    if transport is None:
        raise RefusalError("the connection is gone")
    return Source(
        _address(transport.get_extra_info("peername")), _address(transport.get_extra_info("sockname"))
    )


def _address(name: Any) -> IPAddress:
    # (host, port) or (host, port, flow, scope); a Unix socket has a path or nothing.
    if not isinstance(name, tuple):
        raise RefusalError("the tracker cannot see your address")
    address = ip_address(name[0].partition("%")[0])
    if address.version == 6 and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
