"""The console's protocol over HTTP; what is refused has an `error` in JSON."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import ClientError, web

from ogtorrent.errors import (
    EntryConflict,
    ImageLocked,
    OgtorrentError,
    UnfitEntry,
    UnknownEntry,
    UnknownImage,
)
from ogtorrent.repository.console.document import BASE, document
from ogtorrent.repository.console.forms import Problem
from ogtorrent.repository.console.operations import OPERATIONS, Asked, Console, Operation
from ogtorrent.repository.kept import Kept
from ogtorrent.repository.publisher import Publisher
from ogtorrent.repository.token import Guard, Handler
from ogtorrent.words import words

log = logging.getLogger(__name__)

_PATIENCE = 30.0  # seconds that a body may take to arrive
_STATUS: dict[type[OgtorrentError], int] = {
    UnfitEntry: 400,
    UnknownEntry: 404,
    UnknownImage: 404,
    EntryConflict: 409,
    ImageLocked: 409,
}


class _Unread(Exception):
    """A body that is none: with which status that is said."""

    def __init__(self, status: int, why: str) -> None:
        self.status = status
        super().__init__(why)


def attach(app: web.Application, kept: Kept, publisher: Publisher, guard: Guard) -> None:
    """Add the routes of the protocol, and `/api/v1/openapi.json`, which anybody may read.

    When the application has started, a change that was cut is finished.
    """
    console = Console(kept, publisher)
    written = msgspec.json.encode(document(OPERATIONS, guard.needs_token))
    allowed: dict[str, set[str]] = {}
    for operation in OPERATIONS:
        path = BASE + operation.path.replace("{name}", "{name:[^/]+}").replace("{image}", "{name:(?s:.+)}")
        app.router.add_route(operation.method, path, guard.guarded(_handler(console, operation)))
        allowed.setdefault(path, set()).add(operation.method)

    async def openapi(request: web.Request) -> web.Response:
        return _json(written)

    app.router.add_get(f"{BASE}/openapi.json", openapi)
    app.on_startup.append(partial(_finish, kept))
    for path, methods in allowed.items():
        app.router.add_route("*", path, _not_allowed(sorted(methods)))


async def _finish(kept: Kept, app: web.Application) -> None:
    try:
        await asyncio.to_thread(kept.finish)
    except OgtorrentError as error:  # no reason to serve no images
        log.error("%s", error)


def _handler(console: Console, operation: Operation) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            body = await _body(request, operation)
            host = request.host.encode("ascii", "backslashreplace").decode()
            asked = Asked(host, request.match_info.get("name", ""), body)
            answer = await operation.work(console, asked)
        except _Unread as error:
            return _problem(error.status, str(error))
        except OgtorrentError as error:
            status = _STATUS.get(type(error), 500)
            if status == 500:
                log.error("%s %s: %s", operation.method, operation.path, error)
            return _problem(status, str(error))
        except Exception:
            log.exception("internal error at %s %s", operation.method, operation.path)
            return _problem(500, words("The server made a mistake; its log says which."))
        headers = {}
        if operation.status == 201:
            headers["Location"] = f"{BASE}{operation.path}/{quote(body.name, safe='')}"
        return _json(msgspec.json.encode(answer), operation.status, headers)

    return handler


async def _body(request: web.Request, operation: Operation) -> Any:
    if operation.body is None:
        return None
    if request.content_type != "application/json":
        raise _Unread(415, words("Send JSON, and say so: Content-Type: application/json."))
    raw = bytearray()
    try:
        async with asyncio.timeout(_PATIENCE):
            async for chunk in request.content.iter_any():
                raw += chunk
                if len(raw) > operation.largest:
                    raise _Unread(413, words("This takes at most {limit} bytes.", limit=operation.largest))
        return msgspec.json.decode(raw, type=operation.body)
    except TimeoutError:
        raise _Unread(408, words("The request came too slowly.")) from None
    except (msgspec.DecodeError, UnicodeError, ClientError, ConnectionError) as error:
        raise _Unread(400, words("The request cannot be read: {why}.", why=error)) from None


def _not_allowed(methods: list[str]) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        allowed = ", ".join(methods)
        answer = _problem(405, words("This takes {methods}.", methods=allowed))
        answer.headers["Allow"] = allowed
        return answer

    return handler


def _problem(status: int, why: str) -> web.Response:
    return _json(msgspec.json.encode(Problem(why)), status)


def _json(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=body,
        status=status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        content_type="application/json",
    )
