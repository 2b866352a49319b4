"""Announce and scrape over HTTP: routes of an aiohttp application."""

import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from tracker import access
from tracker.http import reply
from tracker.http.query import parse_announce, parse_scrape
from tracker.networks import address_text, packed_address
from tracker.request import BadRequestError, RefusalError
from tracker.swarm.peer import Source, is_beside_tracker
from tracker.swarm.store import StoreDownError
from tracker.tracker import Tracker

log = logging.getLogger(__name__)

_RETRY_MINUTES = 1
_RETRY_SECONDS = 10  # for a store that has only stumbled
# Characters of what is no HTTP that the log shows.
_LONGEST_QUOTE = 100
# At the end of a Host header; an IPv6 address before it stands in brackets.
_PORT = re.compile(r":[0-9]*$")

Handler = Callable[[web.Request], Awaitable[web.Response]]


def attach(app: web.Application, tracker: Tracker) -> None:
    """Add the routes `/announce` and `/scrape`."""

    async def announce(request: web.Request) -> bytes:
        asked = parse_announce(_query(request))
        answer = await tracker.announce(asked, source_of(tracker, request, asked.claimed), "http")
        return reply.announce_reply(answer, asked)

    async def scrape(request: web.Request) -> bytes:
        wanted = parse_scrape(_query(request))
        tallies = await tracker.scrape(wanted, source_of(tracker, request, None), "http")
        return reply.scrape_reply(tallies, await tracker.store.interval())

    app.router.add_get("/announce", _bencoded(tracker, announce))
    app.router.add_get("/scrape", _bencoded(tracker, scrape))
    logging.getLogger("aiohttp.server").addFilter(_without_mistakes_of_others)


def _bencoded(tracker: Tracker, answer: Callable[[web.Request], Awaitable[bytes]]) -> Handler:
    """Clients read a reason only from a bencoded 200; a fault of ours is logged and not shown to them."""

    async def handler(request: web.Request) -> web.Response:
        try:
            body = await answer(request)
        except BadRequestError as error:
            tracker.refused("http", request.path[1:], who(request), error)
            body = reply.failure(str(error))
        except RefusalError as error:
            tracker.refused("http", request.path[1:], who(request), error)
            body = reply.failure(str(error), retry_minutes=error.retry_minutes)
        except StoreDownError as error:
            tracker.refused("http", request.path[1:], who(request), error)
            body = reply.failure(error.told, retry_minutes=_RETRY_MINUTES, interval=_RETRY_SECONDS)
        except Exception:
            log.exception("internal error at %s", request.path)
            body = reply.failure("internal error", retry_minutes=_RETRY_MINUTES)
        return web.Response(body=body, content_type="text/plain")

    return handler


def _without_mistakes_of_others(record: logging.LogRecord) -> bool:
    """What is no HTTP is a refusal: aiohttp answers it with 400, and logs a traceback as for a fault."""
    mistake = record.exc_info[1] if record.exc_info else None
    if not isinstance(mistake, HttpProcessingError):
        return True
    (who,) = record.args if isinstance(record.args, tuple) and record.args else ("?",)
    what, _, _ = mistake.message.partition("\n")
    access.refused("http", "request", str(who), f"no HTTP: {what.rstrip(':')[:_LONGEST_QUOTE]!r}")
    return False


def _query(request: web.Request) -> bytes:
    # The target as it came over the wire: rel_url has been through a parser of text.
    return request.raw_path.partition("?")[2].encode(errors="surrogateescape")


def source_of(tracker: Tracker, request: web.Request, claimed: bytes | None) -> Source:
    """Who asks, maybe through a trusted proxy; `claimed` is the `ip` of an announce. Raises RefusalError."""
    transport = request.transport
    if transport is None:
        raise RefusalError("the connection is gone", _RETRY_MINUTES)
    address = _address(transport.get_extra_info("peername"))
    reached_at = _address(transport.get_extra_info("sockname"))
    if not tracker.networks.speaks_for_others(address):
        return tracker.source(address, reached_at, None)
    # A proxy reaches the tracker where its clients do not: they named the address that they reach.
    host = packed_address(_PORT.sub("", request.host).strip("[]"))
    hops = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
    forwarded = [hop.strip() for hop in hops if hop.strip()]
    source = tracker.source(address, host or reached_at, claimed, forwarded)
    # Who names its own address would count as the repository.
    return source._replace(reached_at=reached_at) if is_beside_tracker(source) else source


def who(request: web.Request) -> str:
    """Who is refused, for the log: the other end of the connection, a proxy perhaps."""
    address = packed_address(request.remote or "")
    return address_text(address) if address is not None else "?"


def _address(name: Any) -> bytes:
    # (host, port) or (host, port, flow, scope); a Unix socket has a path or nothing.
    address = packed_address(name[0]) if isinstance(name, tuple) else None
    if address is None:
        raise RefusalError("the tracker cannot see your address", _RETRY_MINUTES)
    return address
